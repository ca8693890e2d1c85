"""Likeness: the same fault is found again whatever its strength, another fault is not."""

from itertools import combinations

import numpy as np
import pytest

from aemon.detection.judgement import Contribution
from aemon.detection.similar_episodes import ALIKE, Earlier, likeness, most_like, signed_shares

from .conftest import frame_of, plant

FAULTS = {
    "leak": lambda d, s: d.assign(flow=d.flow - 15 * s, pressure=d.pressure - 0.8 * s),
    "flow too high": lambda d, s: d.assign(flow=d.flow + 15 * s),
    "flow too low": lambda d, s: d.assign(flow=d.flow - 15 * s),
    "bearing": lambda d, s: d.assign(current=d.current + 2 * s, temperature=d.temperature + 6 * s),
    "hot": lambda d, s: d.assign(temperature=d.temperature + 8 * s),
    "pressure too high": lambda d, s: d.assign(pressure=d.pressure + 0.8 * s),
    "current too low": lambda d, s: d.assign(current=d.current - 2.5 * s),
    "pressure lost": lambda d, _: d.assign(pressure=0.0),
}
TIMES = 6  # each fault strikes so often


def part(column, observed, reconstructed, share) -> Contribution:
    return Contribution(
        column=column, observed=observed, reconstructed=reconstructed, error=1, share=share, rank=1
    )


def test_shares_below_the_expectation_are_negative_and_only_those_of_numbers():
    parts = [
        part("flow", 1.0, 2.0, 0.4),
        part("pressure", 2.0, 1.0, 0.3),
        part("open", False, True, 0.2),
        part("mode", "eco", "full", 0.06),
        part("room", None, 20.0, 0.04),
    ]
    assert signed_shares(parts) == {
        "flow": -0.4, "pressure": 0.3, "open": 0.2, "mode": 0.06, "room": 0.04,
    }  # fmt: skip


def test_likeness_is_the_cosine_and_how_long_an_episode_was_does_not_matter():
    assert likeness({"a": 1.0, "b": 1.0}, {"a": 7.0, "b": 7.0}) == pytest.approx(1)
    assert likeness({"a": 1.0}, {"a": -3.0}) == -1
    assert likeness({"a": 1.0}, {"b": 1.0}) == 0
    assert likeness({}, {"b": 1.0}) == 0


def test_of_equals_the_labelled_one_is_named_and_else_the_newest():
    same = {"flow": -3.0}
    earlier = [
        Earlier(id=3, pattern=same),
        Earlier(id=2, pattern={"flow": -9.0, "valve": 1.0}, label="stuck sensor"),
        Earlier(id=1, pattern={"flow": 1.0}, label="other"),
    ]
    assert most_like(same, [earlier[0], Earlier(id=0, pattern=same)]).id == 3
    like = most_like(same, earlier)
    assert (like.id, str(like)) == (2, "like episode 2, labelled stuck sensor")
    assert most_like({"valve": 1.0}, earlier) is None
    assert most_like(same, []) is None


def test_a_label_does_not_make_a_less_alike_one_the_most_alike():
    near = Earlier(id=1, pattern={"flow": 1.0, "valve": 0.4}, label="leak")
    assert most_like({"flow": 1.0}, [near, Earlier(id=0, pattern={"flow": 1.0})]).id == 0


@pytest.fixture(scope="module")
def struck(pump) -> list[tuple[str, dict[str, float]]]:
    """(fault, pattern) of episodes of all faults, of several strengths, lengths and loads."""
    found = []
    for number in range(TIMES):
        rng = np.random.default_rng(100 + number)
        for name, fault in FAULTS.items():
            healthy = plant(int(rng.integers(3, 40)), seed=int(rng.integers(1e9)))
            frame = frame_of(fault(healthy, rng.uniform(0.8, 1.3)))
            rows = np.flatnonzero(pump.judge(frame).anomalous)
            pattern: dict[str, float] = {}
            for explanation in pump.explain(frame.take(rows)):
                for column, share in signed_shares(explanation.contributions).items():
                    pattern[column] = pattern.get(column, 0.0) + share
            found.append((name, pattern))
    return found


def test_the_same_fault_is_found_again_and_another_is_not(struck):
    """What the number `ALIKE` rests on."""
    alike = {True: [], False: []}
    for (fault, one), (other, two) in combinations(struck, 2):
        alike[fault == other].append(likeness(one, two) >= ALIKE)
    assert len(alike[True]) == len(FAULTS) * TIMES * (TIMES - 1) / 2
    assert np.mean(alike[True]) > 0.95
    assert np.mean(alike[False]) < 0.01
