"""Searching for settings without labels."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.search.planting import plantings
from aemon.detection.search.tuning import Trial, Tuning, auroc, tune
from aemon.errors import TrainingError

QUICK = DetectorSettings(kind="linear", members=1)


@pytest.fixture
def curved(make_frame):
    """Records on a curve: its two columns hang together, but not along a line."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 400)
    ring = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1)
    return make_frame(pd.DataFrame(ring + 0.02 * rng.normal(size=ring.shape)).add_prefix("c"))


def trials_at_most(count):
    """A clock that is asked three times for every trial, and how long it may run."""
    now = itertools.count()
    return {"seconds": 3 * count - 2, "clock": lambda: float(next(now))}


def test_what_fits_the_records_is_found(curved):
    # Given settings that fit a line to a curve, and time to try the other kinds
    told = []
    found = tune(
        curved, LearningSettings(detector=QUICK), seed=1, on_trial=told.append, **trials_at_most(5)
    )
    # Then another kind does better, by more than chance, and is advised
    assert found.trials == tuple(told)
    assert found.trials[0].changes == {}
    assert {trial.changes.get("kind") for trial in found.trials} >= {"auto", "undercomplete"}
    assert found.advice.criterion > found.trials[0].criterion + found.advice.error
    assert found.advice.changes["kind"] != "linear"
    assert all(0 <= trial.false_alarm_rate < 0.1 for trial in found.trials)


def test_the_same_seed_tries_the_same(curved):
    def criteria(seed):
        settings = LearningSettings(detector=QUICK)
        return tune(curved, settings, seed=seed, seconds=0).trials[0].by_planting

    assert criteria(3) == criteria(3) != criteria(4)


def test_when_the_time_is_up_nothing_new_is_begun(curved):
    found = tune(curved, LearningSettings(detector=QUICK), **trials_at_most(3))
    assert not found.finished
    assert len(found.trials) == 3


def test_settings_that_do_not_fit_are_told_and_passed_over(curved):
    # Given hidden layers, which several kinds do not have
    settings = LearningSettings(
        detector=DetectorSettings(kind="undercomplete", members=1, steps=20, hidden_sizes=(4,))
    )
    found = tune(curved, settings, **trials_at_most(5))
    refused = [trial for trial in found.trials if trial.refusal]
    assert any(trial.changes.get("kind") == "linear" for trial in refused)
    assert not found.best.refusal
    assert not found.advice.refusal


def test_present_settings_that_do_not_fit_are_an_error(curved):
    settings = LearningSettings(detector=DetectorSettings(kind="linear", code_size=3))
    with pytest.raises(TrainingError, match="code_size is 3"):
        tune(curved, settings)


def test_mixed_records_with_gaps_can_be_tuned(make_frame, pump_records):
    table = pump_records(300, 41)
    table.loc[::5, "flow"] = np.nan
    found = tune(make_frame(table), LearningSettings(detector=QUICK), seconds=0)
    feature_map = fit_features(make_frame(table), ColumnSettings())
    assert set(found.trials[0].by_planting) == set(plantings(feature_map))
    assert found.trials[0].criterion > 0.6


@pytest.mark.parametrize("columns", [["mode", "open"], ["flow"]])
def test_narrow_tables_can_be_tuned(make_frame, pump_records, columns):
    frame = make_frame(pump_records(200, 42)[columns])
    assert np.isfinite(tune(frame, LearningSettings(detector=QUICK), seconds=0).best.criterion)


def test_too_few_records_are_refused(curved):
    with pytest.raises(TrainingError, match="50 records are too few for a search"):
        tune(curved.take(slice(50)), LearningSettings(detector=QUICK))


def trial(criterion, error, **changes):
    return Trial(changes=changes, criterion=criterion, error=error)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], {}),
        ([trial(0.82, 0.03, kind="linear")], {}),
        ([trial(0.9, 0.03, kind="linear")], {"kind": "linear"}),
        (
            [trial(0.9, 0.03, kind="linear", steps=600), trial(0.88, 0.01, kind="linear")],
            {"kind": "linear"},
        ),
        ([Trial(changes={"kind": "elm"}, refusal="no")], {}),
    ],
)
def test_the_fewest_changes_within_a_standard_error_are_advised(others, expected):
    found = Tuning(trials=(trial(0.8, 0.05), *others), finished=True)
    assert found.advice.changes == expected


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    normal = rng.integers(0, 20, 300).astype(float)
    planted = rng.integers(5, 25, 200).astype(float)
    labels = np.repeat([0, 1], [300, 200])
    expected = roc_auc_score(labels, np.concatenate([normal, planted]))
    assert auroc(normal, planted) == pytest.approx(expected)
