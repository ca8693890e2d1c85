"""What no training record had is an anomaly where a person asks for it, with its own reason."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.detector import Detector
from aemon.detection.features.checks.firsts import nevers_of
from aemon.detection.learning import train_detector
from aemon.frame import Frame


def frame_of(values: pd.DataFrame) -> Frame:
    count = len(values)
    return Frame(
        times=np.datetime64("2026-03-01", "us") + np.arange(count) * np.timedelta64(1, "m"),
        keys=np.arange(count).astype(str).astype(object),
        entities=np.full(count, "", dtype=object),
        values=values,
    )


def normal(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    flow = rng.uniform(1, 9, count)
    values = pd.DataFrame({"flow": flow, "power": 2 * flow + 0.1 * rng.normal(size=count)})
    values["spare"] = rng.normal(size=count)
    values.loc[rng.random(count) < 0.05, "spare"] = np.nan  # now and then
    return values


def trained(*firsts: str) -> Detector:
    settings = LearningSettings(columns=ColumnSettings(firsts=firsts))
    fitted = train_detector(frame_of(normal(600, 0)), settings, seed=0)
    arrays, metadata = fitted.state()
    return Detector.from_state(arrays, json.loads(json.dumps(metadata)))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return trained("missing", "zero", "beyond")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (np.nan, "flow is missing, as in none of 600 training records"),
        (0.0, "flow is 0, as in none of 600 training records"),
        (9.5, "flow 9.5 is beyond all 600 training records, 1."),
    ],
)
def test_the_first_one_is_flagged_and_told(detector, cell, told):
    values = normal(3, 1)
    values.loc[1, "flow"] = cell
    looked = detector.look(frame_of(values))
    assert looked.judgement.anomalous[1]
    explanation = looked.explain(np.array([1]))[0]
    assert told in explanation.reason
    assert explanation.contributions[0].column == "flow"


def test_what_a_column_had_now_and_then_is_none(detector):
    values = normal(50, 2)
    values["spare"] = np.nan
    assert not detector.judge(frame_of(values)).anomalous.any()


def test_nothing_is_watched_unless_it_is_asked_for():
    detector = trained()
    assert detector.feature_map.ranges == ()
    values = normal(3, 1)
    values.loc[1, "flow"] = np.nan
    assert not detector.judge(frame_of(values)).anomalous[1]


def test_few_records_have_not_shown_what_a_column_never_has():
    assert not list(nevers_of("flow", np.ones(199), ("missing", "zero", "beyond")))
    assert len(list(nevers_of("flow", np.ones(200), ("missing", "zero", "beyond")))) == 3
