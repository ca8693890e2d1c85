"""The promised false-alarm rate, training after training."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector
from aemon.detection.thresholds.unlikely_bursts import unexplained

PROMISED = 0.01
RECORDS = 3000
ROUNDS = 8


def records(rng) -> pd.DataFrame:
    causes = rng.normal(size=(RECORDS, 2))
    values = causes @ np.array([[1.0, 0.5, -1.0, 2.0], [0.3, -1.0, 1.0, 0.5]])
    return pd.DataFrame(values + 0.3 * rng.normal(size=values.shape)).add_prefix("c")


def test_it_does_not_erode_when_each_detector_learns_from_what_the_last_one_let_pass(frame_of):
    """Given life that stays the same, When flagged records are left out of every training."""
    rng = np.random.default_rng(0)
    settings = LearningSettings.model_validate(
        {
            "detector": {"steps": 150},
            "threshold": {"false_alarm_rate": PROMISED},
        }
    )
    frame, rates = frame_of(records(rng)), []
    for seed in range(ROUNDS):
        detector = train_detector(frame, settings, seed)
        coming = frame_of(records(rng))
        judged = detector.judge(coming)
        rates.append(judged.anomalous.mean())
        p_values = np.where(judged.anomalous, judged.p_values, np.nan)
        frame = coming.take(~unexplained(p_values, PROMISED))
    print("realised:", " ".join(f"{rate:.4f}" for rate in rates))
    # 3,000 calibration records a time: the realised rate itself varies by about 0.003.
    assert np.mean(rates[ROUNDS // 2 :]) < 1.5 * PROMISED
    assert np.mean(rates[ROUNDS // 2 :]) < 1.6 * max(np.mean(rates[: ROUNDS // 2]), PROMISED)


def test_gross_anomalies_are_left_out_and_as_many_false_alarms_as_promised_stay():
    p_values = np.full(10_000, np.nan)
    p_values[:100] = np.linspace(1e-4, 0.01, 100)  # what 1 % of normal records look like
    p_values[100:105] = 1e-9
    found = unexplained(p_values, 0.01)
    assert found[100:105].all()
    assert not found[:100].any()


def test_more_alarms_than_promised_are_left_out_the_oddest_first():
    p_values = np.full(10_000, np.nan)
    p_values[:1000] = np.linspace(1e-4, 0.01, 1000)
    found = unexplained(p_values, 0.01)
    assert found[:1000].sum() == 1000 - 130  # 100 expected, and three standard deviations
    assert not found[:1000][-130:].any()


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_flagged_is_nothing_left_out(count):
    assert not unexplained(np.full(count, np.nan), 0.01).any()
