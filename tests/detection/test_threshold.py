import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aemon.config.schema import ThresholdSettings
from aemon.detection.tail import TINY
from aemon.detection.threshold import MOST_KEPT, calibrate, false_alarm_rate_for
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
         "set by a tail fitted to 200 records; 1000 or more would promise the rate outright"),
        (1, 0.3, "set by a tail fitted to 1 record; 4 or more would promise the rate outright"),
    ],
)  # fmt: skip
def test_a_line_beyond_the_records_says_so(n, rate, note):
    assert calibrate(log_normal(n, 0), rate).note == note


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

    def test_a_budget_needs_time_to_pass(self):
        still = np.repeat(self.times[:1], 100)
        with pytest.raises(TrainingError, match="same event time"):
            false_alarm_rate_for(ThresholdSettings(alarm_budget="3/day"), still)
