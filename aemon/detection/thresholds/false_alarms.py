"""What false alarms that people named do to a line, by a rule that is stated.

They are learned from, and they calibrate: but each with at most `MOST_RAISED` times the line that
the other records make, for one wrong word must not make a detector blind. If the new detector
flags one of them all the same, its line goes up to that record's score, so that it is not flagged
again: but never above that same bound, and never to the score of a confirmed anomaly that the line
catches. No line is ever lowered: that would break the promise, which a raised one only keeps better.
"""

from dataclasses import dataclass, replace

import numpy as np

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.detector import Detector
from aemon.detection.learning import Learned
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.threshold import Threshold
from aemon.errors import FrameError, TrainingError
from aemon.frame import Frame

Scored = tuple[Values, Texts]

MOST_RAISED = 2.0
"""A line may be raised to this many times what it is without false alarms."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AppliedFeedback:
    """A detector that has heard what people said.

    Attributes:
        detector: with its lines as raised.
        without: the lines that the other records make.
    """

    detector: Detector
    without: Thresholds


def apply_feedback(
    learned: Learned, called_normal: Mask, false_alarms: Frame, confirmed: Frame
) -> AppliedFeedback:
    """Draw the lines of a detector by what people said.

    Args:
        learned: all of it but the lines.
        called_normal: (n,) which of its calibration records are false alarms.
        false_alarms: all records that were normal after all, wherever they are.
        confirmed: all records that were anomalies.

    Raises:
        TrainingError: there are no scores to draw a line from.
    """
    capped, without = cap(learned, called_normal)
    detector = learned.detector(learned.thresholds(capped))
    said = [_scored(detector, part) for part in (false_alarms, confirmed)]
    thresholds = raise_thresholds(detector.thresholds, without, *said)
    return AppliedFeedback(detector=learned.detector(thresholds), without=without)


def cap(learned: Learned, called_normal: Mask) -> tuple[Values, Thresholds]:
    """Calibration scores (n,) with those of false alarms bounded, and the lines without them."""
    if called_normal.all():
        raise TrainingError(
            "every calibration record was called a false alarm", todo="take some of that back"
        )
    without = learned.thresholds(learned.scores, ~called_normal)
    bounds = MOST_RAISED * without.values(learned.records.entities)
    capped = np.where(called_normal, np.minimum(learned.scores, bounds), learned.scores)
    return capped, without


def raise_thresholds(
    thresholds: Thresholds, without: Thresholds, false_alarms: Scored, confirmed: Scored
) -> Thresholds:
    """The lines after feedback; the same ones where it moves none.

    A fixed line is a person's own, and stays.

    Args:
        thresholds: as calibrated.
        without: as calibrated without false alarms.
        false_alarms: scores (A,) and entities (A,) of records that were normal after all.
        confirmed: scores (B,) and entities (B,) of records that were anomalies.
    """

    def judged_by(name: str | None, part: Scored) -> Values:
        scores, entities = part
        mine = [(entity if entity in thresholds.own else None) == name for entity in entities]
        chosen: Values = scores[np.array(mine, dtype=bool)]
        return chosen

    def after(name: str | None, threshold: Threshold) -> Threshold:
        bound = MOST_RAISED * _of(without, name).value
        return _raised(threshold, bound, judged_by(name, false_alarms), judged_by(name, confirmed))

    own = {name: after(name, threshold) for name, threshold in thresholds.own.items()}
    return replace(thresholds, pooled=after(None, thresholds.pooled), own=own)


def _of(thresholds: Thresholds, name: str | None) -> Threshold:
    return thresholds.pooled if name is None else thresholds.own.get(name, thresholds.pooled)


def _raised(
    threshold: Threshold, bound: float, false_alarms: Values, confirmed: Values
) -> Threshold:
    caught = confirmed[confirmed > threshold.value]
    ceiling = min(caught, default=np.inf)
    within = false_alarms[
        (false_alarms > threshold.value) & (false_alarms <= bound) & (false_alarms < ceiling)
    ]
    if not len(within) or threshold.method == "fixed":
        return threshold
    return at_least(threshold, float(within.max()))


def at_least(threshold: Threshold, value: float) -> Threshold:
    """A line at a value, and its critical line not below it."""
    return replace(threshold, value=value, critical_value=max(threshold.critical_value, value))


def bounded(thresholds: Thresholds, before: Thresholds, base: Thresholds) -> Thresholds:
    """The lines, none of them at more than `MOST_RAISED` times what it was before.

    One that had sunk below that of the training, `base`, may come back to it at once.
    """

    def within(threshold: Threshold, name: str | None) -> Threshold:
        old, first = _of(before, name), _of(base, name)
        value = min(threshold.value, MOST_RAISED * max(old.value, first.value))
        most = MOST_RAISED * max(old.critical_value, first.critical_value)
        return replace(
            threshold, value=value, critical_value=max(min(threshold.critical_value, most), value)
        )

    own = {name: within(threshold, name) for name, threshold in thresholds.own.items()}
    return replace(thresholds, pooled=within(thresholds.pooled, None), own=own)


def _scored(detector: Detector, frame: Frame) -> Scored:
    """Scores and entities of records a person spoke of; none if they no longer fit."""
    if not len(frame):
        return np.zeros(0), np.zeros(0, dtype=object)
    try:
        return detector.judge(frame).scores, frame.entities
    except FrameError:  # a column is learned from that these old records do not have
        return np.zeros(0), np.zeros(0, dtype=object)
