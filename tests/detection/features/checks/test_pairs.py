"""Pairs of common categories that never came together."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.detector import Detector
from aemon.detection.features.checks.pairs import LEAST_EXPECTED, as_texts, pairs_of
from aemon.detection.learning import LearningSettings, train_detector
from tests.detection.conftest import frame_of


def records(count: int = 1500, seed: int = 0) -> pd.DataFrame:
    """A machine that is fast only when on; its alarm bit never stands while it is off."""
    rng = np.random.default_rng(seed)
    on = rng.random(count) < 0.6
    fast = on & (rng.random(count) < 0.5)
    return pd.DataFrame(
        {
            "state": np.where(on, "on", "off"),
            "pace": np.where(fast, "fast", "slow"),
            "alarm": on & (rng.random(count) < 0.2),
            "load": rng.normal(size=count),
        }
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    settings = LearningSettings(columns=ColumnSettings(firsts=("pair",)))
    arrays, metadata = train_detector(frame_of(records()), settings, seed=0).state()
    return Detector.from_state(arrays, json.loads(json.dumps(metadata)))


def test_a_pair_of_common_values_that_never_came_together_is_flagged_and_named(detector):
    values = records(3, 1)
    values.loc[1, ["state", "pace", "alarm"]] = ["off", "fast", False]
    looked = detector.look(frame_of(values))
    assert looked.judgement.anomalous.tolist() == [False, True, False]
    explanation = looked.explain(np.array([1]))[0]
    assert (
        "pace 'fast' with state 'off', as in none of 1,500 training records" in explanation.reason
    )
    assert explanation.contributions[0].column in ("pace", "state")


def test_a_truth_is_one_of_a_pair(detector):
    values = records(3, 1)
    values.loc[0, ["state", "pace", "alarm"]] = ["off", "slow", True]
    looked = detector.look(frame_of(values))
    assert looked.judgement.anomalous[0]
    reason = looked.explain(np.array([0]))[0].reason
    assert "state 'off' with alarm true, as in none of 1,500 training records" in reason


def test_usual_pairs_and_missing_cells_are_none(detector):
    values = records(500, 2)
    values.loc[::7, "state"] = None
    cells = detector.feature_map.read(frame_of(values))
    assert not cells.new_pairs.any()


def test_a_rare_value_has_no_pairs():
    texts = ["a", "b", "rare"], np.r_[np.zeros(300), np.ones(300), 2].astype(int)
    beside = ["x", "y"], np.r_[np.zeros(300), np.ones(300), 0].astype(int)
    (pair,) = pairs_of({"one": texts, "two": beside})
    assert [found[:2] for found in pair.never] == [("a", "y"), ("b", "x")]
    assert all(expected >= LEAST_EXPECTED for *_, expected in pair.never)


def test_without_being_asked_nothing_is_watched():
    found = train_detector(frame_of(records()), LearningSettings(), seed=0)
    assert found.feature_map.pairs == ()


def test_columns_that_are_missing_or_empty_are_no_pairs():
    assert pairs_of({"one": None, "two": as_texts(np.array([np.nan, np.nan]))}) == ()
