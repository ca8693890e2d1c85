"""What false alarms that people named do to a threshold: nothing. They are excused one by one.

They are learned from; but a threshold is drawn from the scores of the other records, for three words
would raise it for all records, and hide real anomalies. Records like them are excused where they are
judged (`detection/excuses.py`). Where so many are flagged that the promise is broken, recalibration
and the next training say so by themselves.

Detectors of older versions had their thresholds raised by a rule that is kept here for training
them again from their manifests: each false alarm calibrated with at most `MOST_RAISED` times the
threshold that the other records make.
"""

from dataclasses import replace

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.learning import Learned
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.threshold import Threshold
from aemon.errors import TrainingError

MOST_RAISED = 2.0
"""A threshold may be moved to this many times what it was."""


def without_false_alarms(learned: Learned, called_normal: Mask) -> Thresholds:
    """Return the thresholds drawn from the records that nobody called false alarms.

    Args:
        learned: all of a detector but its thresholds.
        called_normal: (n,) which of its calibration records are false alarms.

    Raises:
        TrainingError: there are no scores to draw a threshold from.
    """
    if called_normal.all():
        raise TrainingError(
            "every calibration record was called a false alarm", todo="take some of that back"
        )
    return learned.thresholds(learned.scores, ~called_normal)


def cap(learned: Learned, called_normal: Mask) -> tuple[Values, Thresholds]:
    """Calibration scores (n,) with those of false alarms bounded, and the lines without them."""
    without = without_false_alarms(learned, called_normal)
    bounds = MOST_RAISED * without.values(learned.records.entities)
    capped = np.where(called_normal, np.minimum(learned.scores, bounds), learned.scores)
    return capped, without


def _of(thresholds: Thresholds, name: str | None) -> Threshold:
    return thresholds.pooled if name is None else thresholds.own.get(name, thresholds.pooled)


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
