"""What stands out of a history that nobody has judged."""

import numpy as np
import pytest

from aemon.detection.thresholds.hindsight import MOST_SHARE, standing_out

RATE = 0.001
TAILS = {
    "chi2": lambda rng, n: (rng.normal(size=(n, 5)) ** 2).mean(axis=1),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "gamma": lambda rng, n: rng.gamma(0.5, size=n),
}


def one(n: int) -> np.ndarray:
    return np.full(n, "", dtype=object)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("n", [100, 1000, 20_000])
def test_of_normal_records_next_to_none_stands_out(tail, n):
    rng = np.random.default_rng(0)
    histories = [TAILS[tail](rng, n) for _ in range(60)]
    found = sum(standing_out(scores, one(n), RATE).any() for scores in histories)
    assert found <= 6


@pytest.mark.parametrize("tail", TAILS)
def test_single_anomalies_and_bursts_stand_out_and_their_neighbours_do_not(tail):
    scores = TAILS[tail](np.random.default_rng(1), 10_000)
    usual = np.quantile(scores, 0.999)
    planted = np.zeros(len(scores), dtype=bool)
    planted[[500, 7000]] = True
    scores[[500, 7000]] = 300 * usual
    planted[3000:3200] = True  # two in a hundred records: they must not hide each other
    scores[3000:3200] = 60 * usual * np.random.default_rng(2).uniform(0.8, 1.2, 200)
    found = standing_out(scores, one(len(scores)), RATE)
    assert found[planted].all()
    assert not found[~planted].any()


def test_a_burst_is_of_one_entity():
    scores = np.random.default_rng(1).exponential(size=4000)
    entities = np.array(["a", "b"] * 2000, dtype=object)
    scores[2000:2060:2] = 200 * np.quantile(scores, 0.999)
    found = standing_out(scores, entities, RATE)
    assert found[2000:2060:2].all()
    assert not found[2001:2060:2].any()


def test_more_than_a_tenth_is_another_part_of_normal_life():
    scores = np.random.default_rng(1).exponential(size=1000)
    scores[: int(1.2 * MOST_SHARE * 1000)] *= 1e6
    assert not standing_out(scores, one(1000), RATE).any()


def test_too_few_records_and_scores_that_are_none_tell_nothing():
    assert not standing_out(np.r_[np.ones(50), 1e9], one(51), RATE).any()
    scores = np.r_[np.random.default_rng(0).exponential(size=500), np.nan, np.inf]
    assert not standing_out(scores, one(502), RATE).any()
