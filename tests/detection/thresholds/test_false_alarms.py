"""Thresholds after feedback: a false alarm moves none."""

from dataclasses import replace

import numpy as np
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.learning import learn
from aemon.detection.thresholds.by_entity import Thresholds, calibrate_thresholds
from aemon.detection.thresholds.false_alarms import (
    MOST_RAISED,
    bounded,
    cap,
    without_false_alarms,
)
from aemon.errors import TrainingError
from aemon.frame import Roles, check_frame
from tests import readings


def lines(
    *, own: bool = False, method: str = "conformal", value: float | None = None
) -> Thresholds:
    rng = np.random.default_rng(0)
    count = 400
    return calibrate_thresholds(
        rng.lognormal(size=count),
        np.arange(count).astype("datetime64[s]"),
        np.array(["p1", "p2"] * (count // 2) if own else [""] * count, dtype=object),
        ThresholdSettings(method=method, value=value),
        0.02,
    )


@pytest.fixture(scope="module")
def learned():
    frame = check_frame(readings.table(400), Roles(time="ts", key="id"))
    settings = LearningSettings.model_validate(
        {"detector": {"steps": 60, "members": 2}, "threshold": {"false_alarm_rate": 0.002}}
    )
    return learn(frame, settings, 0)


def test_a_false_alarm_moves_no_threshold(learned):
    """It has the highest score of all, which is where a threshold for so rare a rate lies."""
    wild = replace(learned, scores=learned.scores.copy())
    wild.scores[7] = 1000 * learned.scores.max()
    called_normal = np.arange(len(wild.scores)) == 7
    drawn = without_false_alarms(wild, called_normal).pooled.value
    assert drawn <= learned.detector().threshold.value
    assert wild.detector().threshold.value > 100 * drawn  # what it would be with it


def test_with_nothing_said_the_lines_are_those_of_all_records(learned):
    nobody = np.zeros(len(learned.scores), dtype=bool)
    drawn = without_false_alarms(learned, nobody).pooled
    assert drawn.value == learned.detector().threshold.value


def test_detectors_of_older_versions_had_false_alarms_calibrate_within_bounds(learned):
    wild = replace(learned, scores=learned.scores.copy())
    wild.scores[7] = 1000 * learned.scores.max()
    capped, without = cap(wild, np.arange(len(wild.scores)) == 7)
    assert capped[7] == MOST_RAISED * without.pooled.value
    assert (np.delete(capped, 7) == np.delete(learned.scores, 7)).all()


def test_if_all_records_were_false_alarms_nothing_is_known(learned):
    everybody = np.ones(len(learned.scores), dtype=bool)
    with pytest.raises(TrainingError, match="every calibration record"):
        without_false_alarms(learned, everybody)


def test_lines_are_bounded_by_twice_what_they_were_and_may_sink():
    before = lines(own=True)
    grown = replace(
        before,
        pooled=replace(before.pooled, value=1e6, critical_value=1e7),
        own={name: replace(line, value=0.5 * line.value) for name, line in before.own.items()},
    )
    after = bounded(grown, before, before)
    assert after.pooled.value == MOST_RAISED * before.pooled.value
    assert after.pooled.critical_value == max(
        MOST_RAISED * before.pooled.critical_value, after.pooled.value
    )
    for name, line in before.own.items():
        assert after.own[name].value == 0.5 * line.value
