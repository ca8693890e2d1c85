"""Detectors that are trained again from what was noted of them, by older versions, too."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.frame import Frame
from aemon.lifecycle.training_run import learn_again


@pytest.fixture
def frame():
    """A series."""
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(400, 2)).cumsum(axis=0), columns=["a", "b"])
    return Frame(
        times=np.datetime64("2026-01-01", "us") + np.arange(400) * np.timedelta64(1, "m"),
        keys=np.arange(400).astype(str).astype(object),
        entities=np.full(400, "", dtype=object), values=values,
    )  # fmt: skip


def manifest(**detector):
    settings = LearningSettings().model_dump(mode="json")
    for name in ("window", "series", "seasons"):
        del settings["detector"][name]
    settings["detector"] |= {"steps": 40, "members": 2, **detector}
    lines = {"without_feedback": {}, "drawn": {}}
    return {"settings": settings, "called_normal": [], "lines": lines}


def test_of_a_version_without_windows_each_record_is_judged_alone(frame):
    assert learn_again(frame, manifest(), 0).series is None
    assert learn_again(frame, manifest(window=None), 0).series.width == 4
    assert learn_again(frame, manifest(window=3), 0).series.width == 3
