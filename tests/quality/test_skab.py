"""The acceptance goal on a real rig with valve faults, offline (SKAB, valve1)."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.learning import train_detector

TRAINED_ON = 400
GAIN = 0.10


@pytest.mark.shared_data
@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_flagged_records_are_anomalies_more_often_than_records_at_large(
    shared_data, frame_of, rate
):
    paths = sorted((shared_data / "skab").glob("valve1-*.csv"))
    assert len(paths) == 16
    settings = LearningSettings(threshold=ThresholdSettings(false_alarm_rate=rate))
    gains, alarms = [], []
    for path in paths:
        # Given a detector of a run's first records
        table = pd.read_csv(path, sep=";", parse_dates=["datetime"])
        faulty = table.pop("anomaly").to_numpy()[TRAINED_ON:] == 1
        times = table.pop("datetime").to_numpy(dtype="datetime64[us]")
        frame = frame_of(table.drop(columns="changepoint"), times)
        detector = train_detector(frame.take(slice(0, TRAINED_ON)), settings, seed=0)
        # When the rest of the run is judged
        flagged = detector.judge(frame.take(slice(TRAINED_ON, None))).anomalous
        # Then faults are commoner among the flagged records
        gains.append(faulty[flagged].mean() - faulty.mean() if flagged.any() else 0.0)
        alarms.append(flagged[~faulty].mean())
    print(
        f"rate {rate}: precision over base rate {np.mean(gains):+.3f} mean, "
        f"{np.min(gains):+.3f} worst ({paths[int(np.argmin(gains))].stem}); "
        f"realised false alarms {np.mean(alarms):.3f} mean, {np.max(alarms):.3f} worst"
    )
    assert np.mean(gains) >= GAIN
