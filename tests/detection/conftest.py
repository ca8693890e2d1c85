from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.frame import Frame

START = np.datetime64("2026-01-01T00:00:00", "us")
QUICK = DetectorSettings(steps=150, members=2)

MakeFrame = Callable[..., Frame]


def frame_of(values, *, entities=None, seconds=1.0) -> Frame:
    """A frame of these columns, one record every so many seconds."""
    table = pd.DataFrame(values)
    n = len(table)
    return Frame(
        times=START + (np.arange(n) * seconds * 1e6).astype("timedelta64[us]"),
        keys=np.array([str(i) for i in range(n)], dtype=object),
        entities=np.full(n, "", dtype=object)
        if entities is None
        else np.array(entities, dtype=object),
        values=table,
    )


def plant(records: int, seed: int) -> pd.DataFrame:
    """A pump whose columns hang together: any one can be told from the others."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(0, 1, records)
    room = rng.normal(20, 3, records)
    noise = rng.normal(0, 1, (4, records))
    return pd.DataFrame(
        {
            "flow": 50 + 30 * load + 0.8 * noise[0],
            "pressure": 4 - 1.5 * load + 0.05 * noise[1],
            "current": 8 + 5 * load + 0.15 * noise[2],
            "temperature": room + 25 * load + 0.6 * noise[3],
            "room": room,
            "open": rng.random(records) < 0.5,
            "mode": rng.choice(["eco", "full", "idle"], records),
        }
    )


@pytest.fixture
def make_frame() -> MakeFrame:
    return frame_of


@pytest.fixture(scope="session")
def pump_records() -> Callable[[int, int], pd.DataFrame]:
    return plant


@pytest.fixture(scope="session")
def pump() -> Detector:
    """A detector that has learned a healthy pump; promises 1 % false alarms."""
    settings = LearningSettings(threshold=ThresholdSettings(false_alarm_rate=0.01))
    return train_detector(frame_of(plant(2000, seed=1)), settings, seed=0)


@pytest.fixture
def quick() -> LearningSettings:
    """Settings for tests in which the quality of what is learned does not matter."""
    return LearningSettings(detector=QUICK)
