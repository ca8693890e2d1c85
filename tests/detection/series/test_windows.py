"""Windows and smoothing: the same however the records were fetched, and never across a gap."""

import json

import numpy as np
import pytest

from aemon.detection.series.tails import MOST_ENTITIES, Tail, Tails
from aemon.detection.series.windows import MOST_SURPRISE, SMOOTHED, runs_of

START = np.datetime64("2026-03-01", "us")
MINUTE = np.timedelta64(1, "m")
LONGEST = np.timedelta64(3, "m")


def records(seed: int, count: int = 120):
    """Features, surprises, entities and times of records, some of them after a gap."""
    rng = np.random.default_rng(seed)
    entities = rng.choice(np.array(["a", "b", "c", ""], dtype=object), count)
    steps = rng.choice([0, 1, 2, 10], count, p=[0.1, 0.7, 0.1, 0.1])
    times = START + np.cumsum(steps) * MINUTE
    features = rng.normal(size=(count, 3)).astype(np.float32)
    return features, rng.exponential(2, count).astype(np.float32).astype(float), entities, times


def by_hand(features, entities, times, width):
    """Windows, one record at a time."""
    windows, there = [], []
    for row in range(len(features)):
        mine = [r for r in range(row + 1) if entities[r] == entities[row]]
        run = [mine[-1]]
        for earlier in reversed(mine[:-1]):
            if times[run[-1]] - times[earlier] > LONGEST:
                break
            run.append(earlier)
        run = run[:width]
        windows.append([features[run[min(lag, len(run) - 1)]] for lag in range(width)])
        there.append([lag < len(run) for lag in range(width)])
    return np.array(windows), np.array(there)


@pytest.mark.parametrize("seed", range(5))
def test_a_window_holds_the_records_before_of_the_same_entity_without_a_gap(seed):
    features, _, entities, times = records(seed)
    found = runs_of(entities, times, LONGEST).windows(features, 4)
    windows, there = by_hand(features, entities, times, 4)
    np.testing.assert_array_equal(found.present, there)
    np.testing.assert_array_equal(found.cells, windows)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_records_fetched_in_pieces_are_seen_as_those_fetched_at_once(size):
    features, surprises, entities, times = records(1)
    whole = runs_of(entities, times, LONGEST)
    windows, smoothed = whole.windows(features, 4), whole.smoothed(surprises)
    tails = Tails()
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        tails = Tails.from_json(json.loads(json.dumps(tails.as_json())))  # as over a restart
        runs = runs_of(entities[part], times[part], LONGEST, tails)
        found = runs.windows(features[part], 4)
        np.testing.assert_array_equal(found.cells, windows.cells[part])
        np.testing.assert_array_equal(found.present, windows.present[part])
        np.testing.assert_array_equal(runs.smoothed(surprises[part]), smoothed[part])
        newer = runs.tails_after(features[part], surprises[part], times[part], 4)
        tails = tails.with_newer(newer)


def test_a_record_that_comes_late_has_no_records_before_it():
    features, surprises, _, _ = records(0, 6)
    entities = np.full(6, "", dtype=object)
    times = START + np.arange(6) * MINUTE
    tails = Tails(
        by_entity=runs_of(entities, times, LONGEST).tails_after(features, surprises, times, 4)
    )
    late = runs_of(entities[:1], times[:1], LONGEST, tails)
    assert late.windows(features[:1], 4).present.tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("seed", range(3))
def test_a_stretch_of_operation_ends_a_window_as_a_gap_does(seed):
    # Given records of three stretches of each entity, and the same hours apart
    features, surprises, entities, times = records(seed)
    stretches = np.repeat([0, 1, 2], 40)
    whole = runs_of(entities, times, LONGEST, None, stretches)
    apart = runs_of(entities, times + stretches * np.timedelta64(5, "h"), LONGEST)
    np.testing.assert_array_equal(
        whole.windows(features, 4).present, apart.windows(features, 4).present
    )
    np.testing.assert_array_equal(whole.smoothed(surprises), apart.smoothed(surprises))
    # Only a first stretch goes on from the records before
    tails = Tails(by_entity=apart.tails_after(features, surprises, times, 4))
    later, name = times[-1:] + MINUTE, entities[-1:]
    goes_on = runs_of(name, later, LONGEST, tails, np.array([0]))
    anew = runs_of(name, later, LONGEST, tails, np.array([1]))
    assert goes_on.windows(features[:1], 4).present.sum() > 1
    assert anew.windows(features[:1], 4).present.sum() == 1


def test_half_of_what_counts_is_the_record_itself_and_a_spike_is_bounded_afterwards():
    surprises = np.full(40, 0.5)
    surprises[20] = 300.0
    times = START + np.arange(40) * MINUTE
    smoothed = runs_of(np.full(40, "", dtype=object), times, LONGEST).smoothed(surprises)
    mean = (MOST_SURPRISE + (SMOOTHED - 1) * 0.5) / SMOOTHED
    assert smoothed[19] == pytest.approx(0.5)
    assert smoothed[20] == pytest.approx((300 + mean) / 2)
    assert smoothed[21 : 20 + SMOOTHED] == pytest.approx((0.5 + mean) / 2)
    assert smoothed[20 + SMOOTHED] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "noted",
    [
        None, 7, "x", [1], {"a": 3}, {"a": ["2026-01-01", 3, "!", ""]},
        {"a": ["never", 3, "", ""]}, {"a": ["2026-01-01", 3, "AAA=", ""]},
        {"a": ["2026-01-01", 1, "AADAfw==", ""]},
    ],
)  # fmt: skip
def test_junk_is_the_past_of_nobody(noted):
    assert Tails.from_json(noted).by_entity == {}


def test_the_entities_seen_last_are_kept():
    tail = Tail(
        time=START, features=np.zeros((1, 2), np.float32), surprises=np.zeros(1, np.float32)
    )
    many = Tails().with_newer({str(number): tail for number in range(MOST_ENTITIES)})
    again = many.with_newer({"0": tail}).with_newer({"new": tail})
    assert len(again.by_entity) == MOST_ENTITIES
    assert "0" in again.by_entity
    assert "1" not in again.by_entity


def test_late_records_are_no_past_and_break_no_run():
    features, surprises, _, _ = records(3, 9)
    entities = np.full(9, "", dtype=object)
    times = START + np.arange(9) * MINUTE
    whole = runs_of(entities, times, LONGEST)
    # Given that the record of minute 4 comes after the one of minute 5
    came_first = np.array([0, 1, 2, 3, 5])
    tails = Tails(
        by_entity=runs_of(entities[came_first], times[came_first], LONGEST).tails_after(
            features[came_first], surprises[came_first], times[came_first], 4
        )
    )
    rows = np.array([4, 6, 7])
    runs = runs_of(entities[rows], times[rows], LONGEST, tails)
    # When it is fetched with two others, then it has no past, and they have that of minute 5
    found = runs.windows(features[rows], 4)
    assert found.present[0].tolist() == [True, False, False, False]
    np.testing.assert_array_equal(found.cells[1], features[[6, 5, 3, 2]])
    np.testing.assert_array_equal(found.cells[2], features[[7, 6, 5, 3]])
    after = runs.tails_after(features[rows], surprises[rows], times[rows], 4)[""]
    np.testing.assert_array_equal(after.features, features[[5, 6, 7]])
    # And alone it leaves the past as it was
    alone = runs_of(entities[4:5], times[4:5], LONGEST, tails)
    assert alone.tails_after(features[4:5], surprises[4:5], times[4:5], 4) == {}
    assert whole.names == [""]
