"""Ranges that a person has given: what lies outside is flagged, told, and teaches nothing."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from aemon.config.column_settings import ColumnSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.errors import FrameError, TrainingError


def settings(**ranges) -> LearningSettings:
    detector = {"steps": 60, "members": 2}
    return LearningSettings.model_validate({"columns": {"ranges": ranges}, "detector": detector})


@pytest.fixture
def plant():
    """Temperatures within 20 and 120, of which a sensor fault makes others, and a flow."""
    rng = np.random.default_rng(0)
    load = rng.uniform(size=1_000)
    table = pd.DataFrame({"temperature": 30 + 80 * load, "flow": 10 * load})
    return table + rng.normal(scale=0.2, size=(1_000, 2))


def test_what_lies_outside_is_flagged_and_told(make_frame, plant):
    detector = train_detector(make_frame(plant), settings(temperature=[0, 120], flow=[-5, None]), 0)
    # Given records of which three are outside of a range, and two of them are not far away
    odd = plant[:50].copy()
    odd.loc[10, "temperature"] = 120.5
    odd.loc[20, "temperature"] = -0.1
    odd.loc[30, "flow"] = -6.0
    looked = detector.look(make_frame(odd))
    assert looked.judgement.anomalous[[10, 20, 30]].all()
    told = [one.reason for one in looked.explain(np.array([10, 20, 30]))]
    assert "temperature 120.5 is outside of its range, 0 to 120" in told[0]
    assert "temperature -0.1 is outside of its range, 0 to 120" in told[1]
    assert "flow -6 is outside of its range, -5 or more" in told[2]
    # And within they are what they were, a missing one among them
    usual = train_detector(make_frame(plant), settings(), 0).judge(make_frame(plant)).anomalous
    within = plant.copy()
    within.loc[5, "temperature"] = np.nan
    assert detector.judge(make_frame(within)).anomalous.sum() <= usual.sum() + 1


def test_what_lies_outside_teaches_nothing(make_frame, plant):
    broken = plant.copy()
    broken.loc[::10, "temperature"] = np.random.default_rng(1).uniform(1_000, 3_000, 100)
    clean = train_detector(make_frame(plant), settings(temperature=[0, 150]), 0)
    detector = train_detector(make_frame(broken), settings(temperature=[0, 150]), 0)
    assert detector.provenance.training_records == 900
    place = detector.feature_map.scaled.index("temperature")
    spreads = [one.feature_map.spreads[place] for one in (detector, clean)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.05)
    assert detector.judge(make_frame(broken)).anomalous[::10].all()
    with pytest.raises(TrainingError, match=r"lie within columns\.ranges"):
        train_detector(make_frame(plant), settings(temperature=[500, 600], flow=[None, 900]), 0)


def test_it_is_stored(make_frame, plant):
    detector = train_detector(make_frame(plant), settings(temperature=[None, 100]), 0)
    arrays, metadata = detector.state()
    again = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    frame = make_frame(plant)
    found = again.judge(frame).anomalous
    np.testing.assert_array_equal(found, detector.judge(frame).anomalous)
    assert found[plant["temperature"] > 100].all()


def test_a_range_of_what_is_no_number_is_refused(make_frame, plant):
    named = plant.assign(state=np.where(plant["flow"] > 5, "on", "idle"))
    with pytest.raises(FrameError, match=r"columns\.ranges: 'state' is not judged as numbers"):
        train_detector(make_frame(named), settings(state=[0, 1]), 0)
    with pytest.raises(
        FrameError, match=r"'nothing', named under columns\.ranges, is not in the records"
    ):
        train_detector(make_frame(named), settings(nothing=[0, 1]), 0)


@pytest.mark.parametrize("ends", [[1, 1], [2, 1], [None, None], [0], ["a", 1], [0, float("inf")]])
def test_ranges_that_hold_nothing_are_refused(ends):
    with pytest.raises(ValidationError):
        ColumnSettings.model_validate({"ranges": {"a": ends}})
