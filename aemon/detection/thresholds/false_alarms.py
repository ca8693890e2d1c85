"""False alarms from feedback and thresholds: they raise no threshold.

Records with the feedback `false_alarm` are in the training set, but thresholds are computed from
the scores of the other records. Otherwise three feedback entries would raise the threshold for all
records and hide real anomalies. Similar records are excused one by one (`detection/excuses.py`). If
the realised rate is above the target rate, recalibration and the next training correct it.

In older versions, false alarms raised the thresholds of a detector. That rule is kept here to train
such detectors again from their manifests. The score of a false alarm then counted with at most
`MOST_RAISED` times the threshold of the other records.
"""

from dataclasses import replace

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.learning import Learned
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.threshold import Threshold
from aemon.errors import TrainingError

MOST_RAISED = 2.0
"""Largest new value of a threshold, as a multiple of its old value."""


def without_false_alarms(learned: Learned, called_normal: Mask) -> Thresholds:
    """Return thresholds from the calibration records without false alarms.

    Args:
        learned: all parts of a detector except its thresholds.
        called_normal: (n,) True for calibration records with feedback `false_alarm`.

    Raises:
        TrainingError: no scores are left to compute a threshold from.
    """
    if called_normal.all():
        raise TrainingError(
            "every calibration record has the feedback false_alarm",
            todo="withdraw some of this feedback",
        )
    return learned.thresholds(learned.scores, ~called_normal)


def cap(learned: Learned, called_normal: Mask) -> tuple[Values, Thresholds]:
    """Return calibration scores (n,) with bounded false alarms, and the thresholds without them."""
    without = without_false_alarms(learned, called_normal)
    bounds = MOST_RAISED * without.values(learned.records.entities)
    capped = np.where(called_normal, np.minimum(learned.scores, bounds), learned.scores)
    return capped, without


def _of(thresholds: Thresholds, name: str | None) -> Threshold:
    return thresholds.pooled if name is None else thresholds.own.get(name, thresholds.pooled)


def at_least(threshold: Threshold, value: float) -> Threshold:
    """Return a threshold with this value; its critical value is not below it."""
    return replace(threshold, value=value, critical_value=max(threshold.critical_value, value))


def bounded(thresholds: Thresholds, before: Thresholds, base: Thresholds) -> Thresholds:
    """Return the thresholds, each at most `MOST_RAISED` times the larger of its two old values.

    These are the value `before` and the value of the training, `base`. So a threshold that had
    fallen below that of the training may return to it at once.
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
