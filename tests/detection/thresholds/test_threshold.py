import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.thresholds.tail import TINY
from aemon.detection.thresholds.threshold import (
    CRITICAL_SHARE,
    MOST_KEPT,
    calibrate,
    false_alarm_rate_for,
)
from aemon.errors import TrainingError

SCORES = hnp.arrays(
    np.float64, st.integers(2, 60), elements=st.floats(0, 1e6).map(lambda s: s if s > TINY else 0.0)
)
RATES = st.floats(1e-6, 0.4)


def log_normal(records, seed):
    return np.random.default_rng(seed).lognormal(0, 0.5, records)


@pytest.mark.parametrize(("n", "rate"), [(99, 0.01), (199, 0.05), (1000, 0.001), (50, 0.1)])
def test_a_conformal_line_keeps_its_promise(n, rate):
    """Realised false alarms over many calibrations stay within 4 standard errors of the rate."""
    draws, judged = 300, 500
    realised = [
        float(
            (log_normal(judged, 10_000 + seed) > calibrate(log_normal(n, seed), rate).value).mean()
        )
        for seed in range(draws)
    ]
    assert calibrate(log_normal(n, 0), rate).method == "conformal"
    error = np.std(realised) / draws**0.5
    assert np.mean(realised) <= rate + 4 * error
    assert np.mean(realised) >= rate - 1 / (n + 1) - 4 * error


def test_conformal_p_values_are_uniform_on_normal_records():
    p_values = np.concatenate(
        [calibrate(log_normal(99, s), 0.05).judge(log_normal(100, 5000 + s)) for s in range(200)]
    )
    for level in (0.05, 0.2, 0.5, 0.9):
        assert (p_values <= level).mean() == pytest.approx(level, abs=0.015)


@pytest.mark.parametrize("n", [100, 300])
def test_a_rate_rarer_than_the_records_can_show_is_extrapolated(n):
    draws, rate = 200, 0.001
    lines = [calibrate(log_normal(n, seed), rate) for seed in range(draws)]
    judged = np.sort(log_normal(400_000, 99))
    over = [1 - np.searchsorted(judged, line.value) / len(judged) for line in lines]
    assert {line.method for line in lines} == {"evt"}
    assert rate / 3 < np.mean(over) < 3 * rate


@settings(deadline=None, max_examples=200)
@given(calibration=SCORES, judged=SCORES, rate=RATES)
def test_a_record_is_over_the_line_iff_its_p_value_is_within_the_rate(calibration, judged, rate):
    assume(np.unique(calibration).size > 1)
    line = calibrate(calibration, rate)
    clear = np.abs(judged - line.value) > 1e-6 * line.value  # on the line itself, rounding decides
    p_values = line.judge(judged)[clear]
    over = judged[clear] > line.value
    assert ((p_values <= rate * (1 + 1e-9)) == over).all()


@settings(deadline=None, max_examples=200)
@given(calibration=SCORES, judged=SCORES, rate=RATES)
def test_p_values_lie_in_0_to_1_and_never_rise_with_the_score(calibration, judged, rate):
    p_values = calibrate(calibration, rate).judge(np.sort(judged))
    assert (p_values > 0).all()
    assert (p_values <= 1).all()
    assert (np.diff(p_values) <= 1e-12).all()


@settings(deadline=None, max_examples=100)
@given(calibration=SCORES, rates=st.tuples(RATES, RATES))
def test_a_rarer_promise_never_lowers_the_line(calibration, rates):
    lines = [calibrate(calibration, rate).value for rate in sorted(rates)]
    assert lines[0] >= lines[1] * (1 - 1e-9)


def test_many_calibration_scores_are_thinned_below_and_exact_above():
    scores = log_normal(60_000, 0)
    line = calibrate(scores, 0.001)
    assert len(line.kept) <= MOST_KEPT
    judged = np.linspace(0.1, 6, 500)
    expected = np.array([(1 + (scores >= s).sum()) / 60_001 for s in judged])
    np.testing.assert_allclose(line.judge(judged), expected, atol=1e-3)
    top = judged > np.quantile(scores, 0.9)
    np.testing.assert_allclose(line.judge(judged)[top], expected[top], rtol=1e-12)
    assert (scores > line.value).mean() <= 0.001


@pytest.mark.parametrize("scores", [[1.0], [0.0, 0.0], [0.0] * 50, [2.0] * 50])
@pytest.mark.parametrize("rate", [0.001, 0.3])
def test_few_or_equal_scores_still_make_a_line(scores, rate):
    line = calibrate(np.array(scores), rate)
    assert np.isfinite(line.value)
    assert line.value > 0
    assert line.judge(np.array([1e9]))[0] <= 0.5


@pytest.mark.parametrize(
    ("n", "rate", "note"),
    [
        (999, 0.001, ""),
        (200, 0.01, ""),
        (200, 0.001,
         "set by a tail fitted to 200 records; 1000 or more would guarantee the target rate"),
        (1, 0.3, "set by a tail fitted to 1 record; 4 or more would guarantee the target rate"),
    ],
)  # fmt: skip
def test_a_line_beyond_the_records_says_so(n, rate, note):
    assert calibrate(log_normal(n, 0), rate).note == note


def test_records_alike_in_time_say_how_few_they_are_worth():
    # Given 1,000 records of 20 levels, and the same in no order
    levels = np.repeat(log_normal(20, 0), 50)
    mixed = np.random.default_rng(0).permutation(levels)
    # Then the rate is promised by 20 independent ones, or so
    told = calibrate(levels, 0.01).note
    assert told.startswith("set by 1000 records worth ")
    assert told.endswith(
        " independent records; 100 or more independent records would guarantee the target rate"
    )
    assert int(told.split()[5]) < 40
    assert calibrate(mixed, 0.01).note == ""
    assert calibrate(levels, 0.01, independent=1000.0).note == ""


METHODS = ("conformal", "evt", "quantile", "sigma")


class TestMethods:
    scores = log_normal(2000, 0)

    def test_the_quantile_is_numpys(self):
        line = calibrate(self.scores, 0.01, method="quantile")
        assert line.value == np.quantile(self.scores, 0.99, method="higher")
        assert line.method == "quantile"

    def test_sigma_is_the_mean_and_k_standard_deviations_of_the_logarithms(self):
        line = calibrate(self.scores, 0.01, method="sigma")
        logs = np.log(self.scores)
        assert line.value == pytest.approx(np.exp(logs.mean() + 2.3263478740408408 * logs.std()))
        critical = np.exp(logs.mean() + 3.090232306167813 * logs.std())
        assert line.critical_value == pytest.approx(critical)

    def test_scores_of_zero_have_no_logarithm(self):
        with_zeros = np.concatenate([np.zeros(100), self.scores])
        line = calibrate(with_zeros, 0.01, method="sigma")
        assert line.value == calibrate(self.scores, 0.01, method="sigma").value

    def test_the_tail_draws_the_line_where_it_is_asked_to(self):
        line = calibrate(self.scores, 0.01, method="evt")
        assert (line.method, line.value) == ("evt", line.tail.score_at(0.01))
        assert line.note == "set by a tail fitted to 2000 records"
        judged = log_normal(50_000, 1)
        np.testing.assert_array_equal(line.judge(judged) <= 0.01, judged > line.value)
        assert (np.diff(line.judge(np.sort(judged))) <= 0).all()

    def test_a_rate_beyond_the_tail_is_conformal(self):
        line = calibrate(self.scores, 0.2, method="evt")
        assert line.method == "conformal"
        assert line.value == calibrate(self.scores, 0.2).value

    @pytest.mark.parametrize("value", [0.01, 1.0, 2.5, 50.0])
    def test_a_fixed_line_is_where_it_was_put_and_says_what_it_amounts_to(self, value):
        line = calibrate(self.scores, 0.001, method="fixed", value=value)
        above = (self.scores > value).sum()
        assert (line.value, line.method) == (value, "fixed")
        assert line.false_alarm_rate == (1 + above) / 2001
        assert line.critical_value >= value
        assert line.critical_rate == CRITICAL_SHARE * line.false_alarm_rate
        share = f"{line.false_alarm_rate:.2g}"
        note = f"fixed; measured on 2000 records, a share of {share} of normal records is above it"
        assert line.note == note

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("n", [60, 2000])
    def test_the_realised_rate_is_near_the_promised_one(self, method, n):
        """On exchangeable scores, the mean over calibrations; the bounds are what each method is.

        Log-normal scores are what sigma takes them for, and at 60 records the plain quantile is
        the largest score, which one in 61 exceeds.
        """
        rate, draws = 0.01, 200
        judged = np.sort(log_normal(200_000, 10_000))

        def realised(line):
            return 1 - np.searchsorted(judged, line, side="right") / len(judged)

        lines = [calibrate(log_normal(n, seed), rate, method=method) for seed in range(draws)]
        mean = np.mean([realised(line.value) for line in lines])
        critical = np.mean([realised(line.critical_value) for line in lines])
        print(f"{method} n={n}: realised {mean:.4f}, critical {critical:.5f}")
        least, most = {60: (0.004, 0.018), 2000: (0.0085, 0.0112)}[n]
        assert least < mean < most
        assert critical < 0.4 * mean

    def test_sigma_breaks_its_promise_where_scores_are_not_log_normal_and_conformal_keeps_it(self):
        def heavy(n, seed):
            return np.exp(np.random.default_rng(seed).exponential(size=n))

        realised = {
            method: np.mean(
                [
                    (
                        heavy(2000, 500 + seed)
                        > calibrate(heavy(2000, seed), 0.01, method=method).value
                    ).mean()
                    for seed in range(50)
                ]
            )
            for method in ("conformal", "sigma")
        }
        assert realised["conformal"] == pytest.approx(0.01, abs=0.0015)
        assert realised["sigma"] > 0.03

    @pytest.mark.parametrize("method", ["quantile", "sigma", "fixed"])
    def test_p_values_go_on_beyond_the_largest_score(self, method):
        line = calibrate(self.scores, 0.01, method=method, value=3.0)
        conformal = calibrate(self.scores, 0.01)
        below = np.linspace(0.1, self.scores.max(), 50)
        np.testing.assert_array_equal(line.judge(below), conformal.judge(below))
        beyond = self.scores.max() * np.array([1.1, 1.3, 1.5])
        assert (np.diff(line.judge(beyond)) < 0).all()
        assert (conformal.judge(beyond) == 1 / 2001).all()
        np.testing.assert_array_equal(conformal.judge(beyond, extrapolate=True), line.judge(beyond))

    @settings(deadline=None, max_examples=200)
    @given(
        calibration=SCORES, judged=SCORES, rate=RATES, method=st.sampled_from((*METHODS, "fixed"))
    )
    def test_every_line_is_sound(self, calibration, judged, rate, method):
        line = calibrate(calibration, rate, method=method, value=1.0)
        assert 0 < line.value <= line.critical_value < np.inf
        p_values = line.judge(np.sort(judged))
        assert (p_values > 0).all()
        assert (p_values <= 1).all()
        assert (np.diff(p_values) <= 1e-12).all()


class TestCriticalLine:
    def test_it_is_where_a_tenth_of_the_rate_is_promised(self):
        scores = log_normal(2000, 0)
        line = calibrate(scores, 0.01)
        assert line.critical_rate == pytest.approx(0.001)
        assert line.critical_value == calibrate(scores, 0.001).value

    def test_it_may_be_asked_for(self):
        scores = log_normal(2000, 0)
        line = calibrate(scores, 0.01, critical_rate=0.005)
        assert line.critical_value == calibrate(scores, 0.005).value

    def test_it_follows_the_tail_where_the_records_cannot_show_it(self):
        scores = log_normal(300, 0)
        line = calibrate(scores, 0.01)
        assert line.method == "conformal"
        assert line.critical_value == max(line.tail.score_at(line.critical_rate), scores.max())


def test_no_scores_make_no_line():
    with pytest.raises(TrainingError, match="no record is left"):
        calibrate(np.array([np.nan, np.inf]), 0.01)


class TestPromise:
    times = np.datetime64("2026-01-01", "us") + np.arange(8641) * np.timedelta64(10, "s")

    def test_the_default_is_one_in_a_thousand(self):
        assert false_alarm_rate_for(ThresholdSettings(), self.times) == 0.001

    def test_a_rate_is_taken_as_it_is(self):
        given_rate = ThresholdSettings(false_alarm_rate=0.02)
        assert false_alarm_rate_for(given_rate, self.times) == 0.02

    def test_a_budget_is_divided_by_the_records_of_a_day(self):
        budget = ThresholdSettings(alarm_budget="3/day")
        assert false_alarm_rate_for(budget, self.times) == pytest.approx(3 / 8640)

    def test_a_budget_is_bounded(self):
        rare = false_alarm_rate_for(ThresholdSettings(alarm_budget="0.001/week"), self.times)
        often = false_alarm_rate_for(ThresholdSettings(alarm_budget="9999999/hour"), self.times)
        assert (rare, often) == (1e-6, 0.5)

    def test_a_budget_that_allows_fewer_than_are_critical_is_refused(self):
        asked = ThresholdSettings(alarm_budget="3/day", critical_rate=0.001)
        with pytest.raises(TrainingError, match=r"critical_rate 0\.001 is not below 0\.00035"):
            false_alarm_rate_for(asked, self.times)
        lower = asked.model_copy(update={"critical_rate": 0.0001})
        assert false_alarm_rate_for(lower, self.times) == pytest.approx(3 / 8640)

    def test_a_budget_needs_time_to_pass(self):
        still = np.repeat(self.times[:1], 100)
        with pytest.raises(TrainingError, match="same event time"):
            false_alarm_rate_for(ThresholdSettings(alarm_budget="3/day"), still)
