"""What every kind of detector keeps, on the records of a healthy pump."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from tests.detection.conftest import frame_of, plant

PROMISED = 0.01
FRESH = frame_of(plant(4000, seed=2))
UNSEEDED = {"linear"}
"""Kinds that draw nothing."""

FAR = {"flow": 120.0, "pressure": 6.0, "current": 20.0, "temperature": 100.0, "room": 60.0}
"""Far above anything a healthy pump shows; and as far below."""


def learn(kind, values, seed=0, **changes):
    settings = LearningSettings(
        detector=DetectorSettings(kind=kind, **changes),
        threshold=ThresholdSettings(false_alarm_rate=PROMISED),
    )
    return train_detector(frame_of(values), settings, seed=seed)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def detector(kind):
    return learn(kind, plant(2000, seed=1))


def flagged(detector, values):
    return detector.judge(frame_of(values)).anomalous.mean()


def test_false_alarms_are_as_rare_as_promised(detector):
    realised = detector.judge(FRESH).anomalous.mean()
    assert 0.3 * PROMISED < realised < 3 * PROMISED


@pytest.mark.parametrize("column", FAR)
@pytest.mark.parametrize("way", [1, -1], ids=["above", "below"])
def test_a_column_far_from_anything_seen_is_flagged(detector, column, way):
    table = plant(200, seed=3)
    middle = table[column].mean()
    table[column] = middle + way * (FAR[column] - middle)
    assert flagged(detector, table) > 0.99


def test_a_broken_dependency_is_flagged_though_every_value_is_in_range(detector):
    table = plant(1000, seed=4)
    table["current"] = 21 - table["current"]
    apart = (table["current"] - 10.5).abs() > 1
    assert flagged(detector, table[apart].reset_index(drop=True)) > 0.9


def test_a_category_never_seen_is_flagged(detector):
    table = plant(100, seed=5)
    table["mode"] = "stuck"
    assert flagged(detector, table) > 0.99


@pytest.mark.parametrize("column", ["flow", "pressure", "temperature", "open", "mode"])
def test_a_missing_cell_makes_no_anomaly_by_itself(detector, column):
    table = plant(1000, seed=6).astype({column: object})
    table[column] = None
    judgement = detector.judge(frame_of(table))
    assert judgement.anomalous.mean() < 0.15
    assert not judgement.absent.any()


def test_shares_of_an_explanation_add_up_and_name_the_fault(detector):
    table = plant(20, seed=7)
    table["pressure"] = 6.0
    for explanation in detector.explain(frame_of(table)):
        shares = {part.column: part.share for part in explanation.contributions}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=shares.get) == "pressure"


def test_a_detector_comes_back_from_its_state_exactly(detector):
    arrays, metadata = detector.state()
    again = Detector.from_state(
        {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(metadata))
    )
    np.testing.assert_array_equal(again.judge(FRESH).scores, detector.judge(FRESH).scores)
    few = FRESH.take(slice(0, 3))
    assert again.explain(few) == detector.explain(few)


def test_the_same_seed_gives_the_same_scores_bit_for_bit_and_another_others(kind):
    table, steps = plant(300, seed=1), 30
    first, again, other = (
        learn(kind, table, seed, steps=steps).judge(FRESH).scores for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (kind in UNSEEDED)


def test_a_constant_column_that_stays_changes_nothing_and_one_that_moves_is_blamed(kind):
    table = plant(300, seed=1)
    table["site"], table["zero"] = "north", 0.0
    detector = learn(kind, table, steps=30)
    found = plant(50, seed=2)
    found["site"], found["zero"] = "north", 0.0
    usual = detector.judge(frame_of(found)).scores
    names = {part.column for part in detector.explain(frame_of(found))[0].contributions}
    assert not names & {"site", "zero"}
    found["site"], found["zero"] = None, np.nan  # missing: no sign of anything
    np.testing.assert_array_equal(detector.judge(frame_of(found)).scores, usual)
    for name, value in (("site", "south"), ("zero", 5.0)):
        moved = plant(50, seed=2)
        moved["site"], moved["zero"] = "north", 0.0
        moved[name] = [value] + [moved[name][0]] * 49
        judgement = detector.judge(frame_of(moved))
        assert judgement.anomalous[0]
        np.testing.assert_array_equal(judgement.scores[1:], usual[1:])
        first = detector.explain(frame_of(moved))[0]
        assert first.contributions[0].column == name
        assert str(value if isinstance(value, str) else int(value)) in first.reason


def test_a_single_column_is_enough(kind):
    rng = np.random.default_rng(0)
    detector = learn(kind, {"load": rng.normal(5, 1, 500)})
    judgement = detector.judge(frame_of({"load": [5.0, 5.5, 25.0, -15.0, np.nan]}))
    assert judgement.anomalous.tolist() == [False, False, True, True, False]
    assert judgement.absent.tolist() == [False] * 4 + [True]


def test_twenty_five_records_are_enough(kind):
    detector = learn(kind, plant(25, seed=1))
    judgement = detector.judge(FRESH)
    assert np.isfinite(judgement.scores).all()
    broken = plant(50, seed=2)
    broken["pressure"] += 100.0
    assert flagged(detector, broken) > 0.99
    assert judgement.anomalous.mean() < 0.5


def test_entities_are_context_and_never_blamed(kind):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"speed": rng.normal(10, 1, 300), "other": rng.normal(size=300)})
    entities = rng.choice(["slow", "fast"], 300)
    settings = LearningSettings(detector=DetectorSettings(kind=kind, steps=30))
    detector = train_detector(frame_of(table, entities=entities), settings, seed=0)
    explained = detector.explain(frame_of(table[:3], entities=entities[:3]))
    assert {part.column for part in explained[0].contributions} == {"speed", "other"}
