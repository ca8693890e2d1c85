"""Thresholds from calibration records, some of which have the feedback `false_alarm`.

Records with the feedback `false_alarm` are in the training set, but thresholds are computed from
the scores of the other records. Otherwise three such records would raise the threshold for all
records and hide real anomalies. Records that are similar to a false alarm are excused one by one
(`detection/excuses.py`). If the realised rate is above the target rate, recalibration and the next
training correct the rate.

In older versions, false alarms raised the thresholds of a detector. This module still has that
rule, to train such detectors again from their manifests. In the old rule, the score of a false
alarm was limited to `MOST_RAISED` times the threshold of the other records.
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
    """Compute thresholds from the calibration records that are not false alarms.

    Args:
        learned: all parts of a detector except its thresholds.
        called_normal: (n,) True for calibration records with the feedback `false_alarm`.

    Raises:
        TrainingError: no scores are left from which a threshold could be computed.
    """
    if called_normal.all():
        raise TrainingError(
            "every calibration record has the feedback false_alarm",
            todo="withdraw some of this feedback",
        )
    return learned.thresholds(learned.scores, ~called_normal)


def cap(learned: Learned, called_normal: Mask) -> tuple[Values, Thresholds]:
    """Return calibration scores (n,) in which false alarms have limited scores, and thresholds.

    The thresholds are computed without the false alarms.
    """
    without = without_false_alarms(learned, called_normal)
    bounds = MOST_RAISED * without.values(learned.records.entities)
    capped = np.where(called_normal, np.minimum(learned.scores, bounds), learned.scores)
    return capped, without


def _of(thresholds: Thresholds, name: str | None) -> Threshold:
    return thresholds.pooled if name is None else thresholds.own.get(name, thresholds.pooled)


def at_least(threshold: Threshold, value: float) -> Threshold:
    """Return a copy of a threshold with a new value; its critical value is at least this value."""
    return replace(threshold, value=value, critical_value=max(threshold.critical_value, value))


def bounded(thresholds: Thresholds, before: Thresholds, base: Thresholds) -> Thresholds:
    """Return thresholds that are limited to `MOST_RAISED` times an old value.

    The old value is the larger value of the same threshold in `before` and in `base`, the
    thresholds of the training. So a threshold that had become lower than in training may return
    to its value in training at once.
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
