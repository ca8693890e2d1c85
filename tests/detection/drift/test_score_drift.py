"""Evidence of drift in the scores: seldom wrong, soon right, and silent under a fault."""

import json

import numpy as np
import pytest

from aemon.detection.drift.score_drift import (
    CALIBRATION_CHANCE,
    ScoreDrift,
    bulk_p_values,
    watch_scores,
)
from aemon.detection.thresholds.by_entity import Thresholds, calibrate_thresholds
from aemon.detection.thresholds.threshold import calibrate
from tests.detection.thresholds.test_effective_size import autoregressive

ALPHA = 0.05


def lines_of(scores, rate=0.01) -> Thresholds:
    return Thresholds(pooled=calibrate(scores, rate), own={})


def nobody(n):
    return np.full(n, "", dtype=object)


def watched(lines: Thresholds, scores, state=None) -> ScoreDrift:
    found = bulk_p_values(lines, scores, nobody(len(scores)))
    return (state or watch_scores(lines.pooled)).after(found)


def ever_drifted(lines: Thresholds, scores, alpha=ALPHA) -> bool:
    """Whether the evidence was ever enough, looked at after every fifty records."""
    state = watch_scores(lines.pooled)
    for start in range(0, len(scores), 50):
        state = watched(lines, scores[start : start + 50], state)
        if state.drifted(alpha):
            return True
    return False


class TestNormalLife:
    @pytest.mark.parametrize("calibrated", [100, 1000])
    def test_seldom_gives_evidence_however_long_it_lasts(self, calibrated):
        streams, fired = 120, 0
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            lines = lines_of(rng.lognormal(size=calibrated))
            fired += ever_drifted(lines, rng.lognormal(size=3000))
        chance = ALPHA + CALIBRATION_CHANCE
        assert fired <= streams * chance + 3 * np.sqrt(streams * chance)

    def test_seldom_gives_evidence_when_records_hang_together_in_time(self):
        streams, fired = 100, 0
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            series = np.exp(autoregressive(8000, 0.95, rng))
            fired += ever_drifted(lines_of(series[:3000]), series[3000:])
        assert fired <= streams * ALPHA + 3 * np.sqrt(streams * ALPHA)

    def test_of_equal_scores_is_evidence_neither_way(self):
        rng = np.random.default_rng(0)
        lines = lines_of(rng.integers(1, 4, 2000).astype(float))
        coming = rng.integers(1, 4, 5000).astype(float)
        found = bulk_p_values(lines, coming, nobody(5000))
        assert np.nanmean(found) == pytest.approx(0.5, abs=0.02)
        assert watched(lines, coming).log10_evidence < 1

    def test_gives_uniform_p_values_below_the_line(self):
        rng = np.random.default_rng(0)
        lines = lines_of(rng.lognormal(size=20_000), rate=0.1)
        coming = rng.lognormal(size=20_000)
        found = bulk_p_values(lines, coming, nobody(len(coming)))
        assert np.isnan(found).mean() == pytest.approx(0.1, abs=0.01)
        shares = np.histogram(found[~np.isnan(found)], bins=10, range=(0, 1))[0] / len(coming) / 0.9
        np.testing.assert_allclose(shares, 0.1, atol=0.01)


class TestDrift:
    @pytest.mark.parametrize(("times", "way"), [(1.5, "grown"), (0.67, "shrunk")])
    def test_is_found_whichever_way_the_bulk_goes(self, times, way):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            lines = lines_of(rng.lognormal(sigma=0.7, size=2000))
            state = watched(lines, rng.lognormal(sigma=0.7, size=2000))
            assert not state.drifted()
            state = watched(lines, times * rng.lognormal(sigma=0.7, size=600), state)
            assert state.drifted()
            assert state.way == way

    def test_is_found_after_a_long_time_of_none(self):
        rng = np.random.default_rng(0)
        lines = lines_of(rng.lognormal(sigma=0.7, size=2000))
        state = watched(lines, rng.lognormal(sigma=0.7, size=100_000))
        assert not state.drifted()
        state = watched(lines, 1.5 * rng.lognormal(sigma=0.7, size=600), state)
        assert state.drifted()

    def test_is_not_what_a_calibration_too_small_cannot_tell(self):
        rng = np.random.default_rng(0)
        lines = lines_of(np.repeat(rng.lognormal(size=4), 500))  # four records' worth
        assert lines.pooled.independent < 20
        assert not watched(lines, 5 * rng.lognormal(size=5000)).drifted()

    def test_however_great_is_counted_without_end(self):
        rng = np.random.default_rng(0)
        state = watched(lines_of(rng.lognormal(size=2000)), 0.01 * rng.lognormal(size=20_000))
        assert 100 < state.log10_evidence < 300


class TestAFault:
    @pytest.mark.parametrize("records", [1, 100, 5000])
    def test_is_no_drift(self, records):
        rng = np.random.default_rng(0)
        lines = lines_of(rng.lognormal(size=2000))
        before = watched(lines, rng.lognormal(size=500))
        after = watched(lines, 1000 * rng.lognormal(size=records), before)
        assert after.log10_evidence == before.log10_evidence
        assert after.bets == before.bets


class TestTheState:
    def test_is_the_same_however_the_records_are_cut(self):
        rng = np.random.default_rng(0)
        series = np.exp(autoregressive(4000, 0.8, rng))
        lines = lines_of(series[:2000])
        whole = watched(lines, series[2000:])
        cut = watch_scores(lines.pooled)
        for part in np.array_split(series[2000:], 37):
            cut = watched(lines, part, cut)
        assert cut.every > 1
        assert cut.bets == whole.bets > 0
        assert cut.log10_evidence == pytest.approx(whole.log10_evidence)

    def test_comes_back_from_json(self):
        rng = np.random.default_rng(0)
        state = watched(lines_of(rng.lognormal(size=500)), rng.lognormal(size=333))
        assert ScoreDrift.from_json(json.loads(json.dumps(state.as_json()))) == state

    def test_holds_no_evidence_at_first(self):
        state = watch_scores(calibrate(np.arange(1.0, 100.0), 0.01))
        assert state.log10_evidence == 0
        assert not state.drifted()
        assert state.after(np.empty(0)) == state


def test_each_entity_is_held_against_its_own_calibration():
    rng = np.random.default_rng(0)
    names = np.array(["a", "b"] * 2000, dtype=object)
    scores = rng.lognormal(size=4000)
    scores[names == "b"] *= 50
    times = np.datetime64("2026-01-01", "us") + np.arange(4000).astype("timedelta64[s]")
    from aemon.config.threshold_settings import ThresholdSettings

    lines = calibrate_thresholds(scores, times, names, ThresholdSettings(), 0.01)
    coming = rng.lognormal(size=4000)
    coming[names == "b"] *= 50
    found = bulk_p_values(lines, coming, names)
    for name in ("a", "b"):
        assert np.nanmean(found[names == name]) == pytest.approx(0.5, abs=0.03)
