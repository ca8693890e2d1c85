"""Lines that follow normal life, hold their promise, and do not learn from faults."""

from time import perf_counter

import numpy as np
import pytest

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.thresholds.by_entity import Thresholds, calibrate_thresholds
from aemon.detection.thresholds.recalibration import (
    Recent,
    every_records,
    recalibrate,
    window_records,
)
from aemon.detection.thresholds.threshold import MOST_KEPT

RATE = 0.01
WINDOW = window_records(RATE)
SETTINGS = ThresholdSettings(false_alarm_rate=RATE)


def lines_of(scores, entities=None, settings=SETTINGS, rate=RATE) -> Thresholds:
    n = len(scores)
    times = np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]")
    return calibrate_thresholds(scores, times, nobody(n) if entities is None else entities,
                           settings, rate)  # fmt: skip


def nobody(n):
    return np.full(n, "", dtype=object)


def recent(scores, entities=None) -> Recent:
    return Recent(scores=scores, entities=nobody(len(scores)) if entities is None else entities)


def usual(n, rng, sigma=0.7):
    return rng.lognormal(sigma=sigma, size=n)


def live(base: Thresholds, scores, settings=SETTINGS):
    """Which scores are flagged, and the line each was held against, as records come in."""
    rate = base.pooled.false_alarm_rate
    window, step = window_records(rate), every_records(rate)
    current, values = base, np.empty(len(scores))
    for start in range(0, len(scores), step):
        seen = scores[max(0, start - window) : start]
        current = recalibrate(base, current, recent(seen), settings) or current
        values[start : start + step] = current.pooled.value
    return scores > values, values


class TestThePromise:
    @pytest.mark.parametrize(
        "level",
        [
            pytest.param(lambda t: 1.0 + 0 * t, id="nothing moves"),
            pytest.param(lambda t: np.exp(2.0 * t), id="scores grow slowly to sevenfold"),
            pytest.param(lambda t: np.exp(-2.0 * t), id="scores shrink slowly to a seventh"),
            pytest.param(lambda t: np.where(t < 0.5, 1.0, 1.8), id="the bulk steps up"),
            pytest.param(lambda t: np.where(t < 0.5, 1.0, 20.0), id="everything is over the line"),
            pytest.param(lambda t: np.exp(np.sin(12 * t)), id="scores go up and down"),
        ],
    )
    @pytest.mark.parametrize("tail", [0.3, 0.7, 1.5])
    def test_holds_within_a_factor_of_two_as_normal_life_moves(self, level, tail):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng, tail))
        scores = usual(60_000, rng, tail) * level(np.linspace(0, 1, 60_000))
        flagged, _ = live(base, scores)
        assert flagged.mean() < 2 * RATE + WINDOW / 2 / len(scores)  # until a step is believed

    @pytest.mark.parametrize("low", [0.02, 1e-31])
    def test_comes_back_with_a_life_that_had_calmed_down(self, low):
        """A plant that rests over the holidays, and then works as it did."""
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = usual(12_000, rng) * np.where(np.arange(12_000) < 6000, low, 1.0)
        _, values = live(base, scores)
        assert values[5999] < 0.1 * base.pooled.value
        assert 0.5 < values[-1] / base.pooled.value < 2

    def test_is_broken_by_lines_that_stay(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = usual(60_000, rng) * np.exp(2.0 * np.linspace(0, 1, 60_000))
        assert (scores > base.pooled.value).mean() > 10 * RATE

    def test_holds_where_it_is_one_in_a_thousand(self):
        rng, settings = np.random.default_rng(0), ThresholdSettings(false_alarm_rate=0.001)
        base = lines_of(usual(6000, rng), settings=settings, rate=0.001)
        scores = usual(60_000, rng) * np.exp(2.0 * np.linspace(0, 1, 60_000))
        flagged, _ = live(base, scores, settings)
        assert flagged.mean() < 0.0022  # measured: 0.0015 to 0.0021

    @pytest.mark.parametrize("method", ["conformal", "evt", "quantile", "sigma"])
    def test_holds_for_every_way_of_drawing(self, method):
        rng = np.random.default_rng(0)
        settings = ThresholdSettings(false_alarm_rate=RATE, method=method)
        base = lines_of(usual(6000, rng), settings=settings)
        scores = usual(30_000, rng) * np.exp(np.linspace(0, 1.5, 30_000))
        flagged, _ = live(base, scores, settings)
        assert flagged.mean() < 2 * RATE

    def test_is_not_kept_by_a_line_that_is_needlessly_high(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = 0.2 * usual(20_000, rng)
        flagged, values = live(base, scores)
        assert values[-1] < 0.4 * base.pooled.value
        assert RATE / 2 < flagged[-10_000:].mean() < 2 * RATE


class TestAFault:
    @pytest.mark.parametrize("times", [1.2, 1.5, 3.0, 30.0, 1e6])
    def test_of_a_tenth_of_the_window_hardly_moves_the_line(self, times):
        moved = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            base = lines_of(usual(6000, rng))
            scores = usual(WINDOW, rng)
            last = slice(-WINDOW // 10, None)
            scores[last] = base.pooled.value * times * rng.uniform(0.9, 1.1, WINDOW // 10)
            new = recalibrate(base, base, recent(scores), SETTINGS) or base
            moved.append(new.pooled.value / base.pooled.value)
        assert np.median(moved) < 1.2
        assert max(moved) < 1.5

    def test_is_flagged_to_its_end(self):
        """Given drift, too, When a fault lasts a fifth of the window."""
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = usual(20_000, rng) * np.exp(np.linspace(0, 1, 20_000))
        fault = slice(12_000, 12_000 + WINDOW // 5)
        scores[fault] *= 100
        flagged, _ = live(base, scores)
        assert flagged[fault].mean() > 0.9

    def test_of_single_records_again_and_again_stays_flagged(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = usual(30_000, rng) * np.exp(np.linspace(0, 1, 30_000))
        spikes = rng.choice(30_000, 900, replace=False)  # three times the promise
        scores[spikes] *= 200
        flagged, _ = live(base, scores)
        assert flagged[spikes].mean() > 0.9
        assert np.delete(flagged, spikes).mean() < 2 * RATE

    def test_is_normal_life_once_somebody_says_so(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        scores = usual(WINDOW, rng)
        scores[-300:] *= 50
        allowed = np.arange(WINDOW) >= WINDOW - 300
        untold = recalibrate(base, base, recent(scores), SETTINGS) or base
        told = recalibrate(base, base, recent(scores), SETTINGS, allowed=allowed)
        assert untold.pooled.value < 1.5 * base.pooled.value
        assert told is not None
        assert (scores[allowed] > told.pooled.value).mean() < 0.1


class TestALine:
    def test_stays_while_its_records_do_not_contradict_it(self):
        moves = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            base = lines_of(usual(20_000, rng))
            moves += recalibrate(base, base, recent(usual(WINDOW, rng)), SETTINGS) is not None
        assert moves <= 7  # 3 % by chance, and the noise of the calibration

    @pytest.mark.parametrize("count", [0, 1, WINDOW // 4 - 1])
    def test_stays_with_too_few_records(self, count):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        assert recalibrate(base, base, recent(100 * usual(count, rng)), SETTINGS) is None

    @pytest.mark.parametrize(
        "settings",
        [ThresholdSettings(method="fixed", value=3.0), ThresholdSettings(batch_fdr=0.1)],
        ids=["fixed", "batch_fdr"],
    )
    def test_stays_where_it_is_not_the_records_that_draw_it(self, settings):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng), settings=settings)
        assert recalibrate(base, base, recent(100 * usual(WINDOW, rng)), settings) is None

    def test_goes_back_to_where_training_drew_it(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        raised = recalibrate(base, base, recent(3 * usual(WINDOW, rng)), SETTINGS)
        assert raised is not None
        assert raised.pooled.value > 2 * base.pooled.value
        back = recalibrate(base, raised, recent(usual(WINDOW, rng)), SETTINGS)
        assert back is not None
        assert back.pooled is base.pooled

    def test_once_moved_gives_p_values_and_exceedances_of_the_life_it_moved_to(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng))
        new = recalibrate(base, base, recent(3 * usual(WINDOW, rng)), SETTINGS)
        assert new is not None
        coming = 3 * usual(4000, rng)
        judged = new.judge(coming, nobody(4000), np.zeros(4000, dtype=bool))
        for level in (0.05, 0.2, 0.5):
            assert (judged.p_values <= level).mean() == pytest.approx(level, rel=0.25)
        np.testing.assert_allclose(judged.exceedances, coming / new.pooled.value)
        assert new.pooled.critical_value >= new.pooled.value
        assert new.pooled.false_alarm_rate == RATE

    def test_is_the_same_for_the_same_records(self):
        rng = np.random.default_rng(0)
        base, seen = lines_of(usual(6000, rng)), recent(3 * usual(WINDOW, rng))
        first, second = (recalibrate(base, base, seen, SETTINGS) for _ in range(2))
        assert first is not None
        assert second is not None
        assert first.pooled.value == second.pooled.value

    def test_of_thinned_calibration_scores_moves_all_the_same(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(2 * MOST_KEPT, rng))
        new = recalibrate(base, base, recent(3 * usual(WINDOW, rng)), SETTINGS)
        assert new is not None
        assert 2 < new.pooled.value / base.pooled.value < 4

    def test_takes_no_time_worth_mention(self):
        rng = np.random.default_rng(0)
        settings = ThresholdSettings(false_alarm_rate=0.001)
        base = lines_of(usual(20_000, rng), settings=settings, rate=0.001)
        seen = recent(3 * usual(5000, rng))
        took = []
        for _ in range(5):
            started = perf_counter()
            recalibrate(base, base, seen, settings)
            took.append(perf_counter() - started)
        assert min(took) < 0.05  # seconds; measured: 0.001


class TestAnEntity:
    def test_moves_its_own_line_and_no_other(self):
        rng = np.random.default_rng(0)
        names = np.array(["a", "b"] * 3000, dtype=object)
        base = lines_of(usual(6000, rng), names)
        whose = np.array(["a", "b", "c"] * WINDOW, dtype=object)
        scores = usual(3 * WINDOW, rng)
        scores[whose == "b"] *= 3
        new = recalibrate(base, base, recent(scores, whose), SETTINGS)
        assert new is not None
        assert new.own["a"] is base.own["a"]
        assert new.own["b"].value > 2 * base.own["b"].value
        assert new.pooled is base.pooled

    def test_without_a_line_of_its_own_moves_the_pooled_one(self):
        rng = np.random.default_rng(0)
        base = lines_of(usual(6000, rng), np.array(["a", "b"] * 3000, dtype=object))
        new = recalibrate(
            base, base, recent(3 * usual(WINDOW, rng), np.full(WINDOW, "c", dtype=object)), SETTINGS
        )
        assert new is not None
        assert new.pooled.value > 2 * base.pooled.value
        assert all(new.own[name] is base.own[name] for name in ("a", "b"))


@pytest.mark.parametrize("rate", [1e-6, 0.001, 0.01, 0.1, 0.5])
def test_a_window_is_bounded(rate):
    assert 500 <= window_records(rate) <= 5000
    assert 25 <= every_records(rate) <= 250
