"""Lines after feedback: raised within bounds that are stated, never lowered."""

from dataclasses import replace

import numpy as np
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.learning import learn
from aemon.detection.thresholds.by_entity import Thresholds, calibrate_thresholds
from aemon.detection.thresholds.false_alarms import (
    MOST_RAISED,
    apply_feedback,
    bounded,
    cap,
    raise_thresholds,
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


def spoken(scores, entity="") -> tuple[np.ndarray, np.ndarray]:
    return np.array(scores, dtype=float), np.array([entity] * len(scores), dtype=object)


NOTHING = spoken([])


def test_a_line_goes_up_to_the_highest_false_alarm_and_it_is_flagged_no_more():
    before = lines()
    line = before.pooled.value
    after = raise_thresholds(
        before, before, spoken([0.5 * line, 1.1 * line, 1.3 * line]), NOTHING
    ).pooled
    assert after.value == 1.3 * line
    assert after.critical_value == max(before.pooled.critical_value, after.value)
    assert after.judge(np.array([line])) == before.pooled.judge(np.array([line]))


@pytest.mark.parametrize("scores", [[], [0.2], [2.5]])
def test_nothing_said_little_said_or_too_much_said_moves_no_line(scores):
    before = lines()
    said = spoken([score * before.pooled.value for score in scores])
    assert raise_thresholds(before, before, said, NOTHING).pooled == before.pooled
    assert MOST_RAISED < 2.5


def test_a_confirmed_anomaly_that_is_caught_stays_caught():
    before = lines()
    line = before.pooled.value
    after = raise_thresholds(
        before, before, spoken([1.1 * line, 1.4 * line]), spoken([0.3 * line, 1.2 * line])
    ).pooled
    assert after.value == 1.1 * line


def test_an_entitys_line_is_raised_by_its_own_records_alone():
    before = lines(own=True)
    line = before.own["p1"].value
    after = raise_thresholds(before, before, spoken([1.5 * line], "p1"), NOTHING)
    assert after.own["p1"].value == 1.5 * line
    assert after.own["p2"].value == before.own["p2"].value
    assert after.pooled.value == before.pooled.value
    other = raise_thresholds(before, before, spoken([1.5 * before.pooled.value], "p3"), NOTHING)
    assert other.pooled.value == 1.5 * before.pooled.value


def test_a_fixed_line_is_a_persons_own():
    before = lines(method="fixed", value=3.0)
    assert raise_thresholds(before, before, spoken([4.0]), NOTHING).pooled.value == 3.0


@pytest.fixture(scope="module")
def learned():
    frame = check_frame(readings.table(400), Roles(time="ts", key="id"))
    settings = LearningSettings.model_validate(
        {"detector": {"steps": 60, "members": 2}, "threshold": {"false_alarm_rate": 0.002}}
    )
    return learn(frame, settings, 0)


def test_one_wild_false_alarm_does_not_make_a_detector_blind(learned):
    """It is the highest score of all, which is where a line for so rare a rate lies."""
    wild = replace(learned, scores=learned.scores.copy())
    wild.scores[7] = 1000 * learned.scores.max()
    called_normal = np.arange(len(wild.scores)) == 7
    nothing = wild.records.take(np.zeros(len(wild.records), dtype=bool))
    applied = apply_feedback(wild, called_normal, nothing, nothing)
    without = applied.without.pooled.value
    assert without <= learned.detector().threshold.value
    assert without < applied.detector.threshold.value <= MOST_RAISED * without
    assert wild.detector().threshold.value > 100 * without  # what it would be unbounded


def test_with_nothing_said_the_lines_are_those_of_all_records(learned):
    nobody = np.zeros(len(learned.scores), dtype=bool)
    nothing = learned.records.take(nobody)
    applied = apply_feedback(learned, nobody, nothing, nothing)
    assert applied.detector.threshold.value == learned.detector().threshold.value
    assert applied.without.pooled.value == applied.detector.threshold.value


def test_if_all_records_were_false_alarms_nothing_is_known(learned):
    everybody = np.ones(len(learned.scores), dtype=bool)
    with pytest.raises(TrainingError, match="every calibration record"):
        cap(learned, everybody)


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
