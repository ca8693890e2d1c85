"""Recalibration: thresholds follow normal data that changes, so that the target rate is kept.

A threshold moves only if its records contradict the target rate: if the number of records above the
threshold is unlikely at this rate. The threshold is then computed again from these records, by the
same method. Flagged records are left out, with two exceptions:

- The target rate explains a number of flagged records. The least unusual flagged records, up to
  this number, count as normal (`unexplained`).
- The median of the scores counts as normal. If this median differs from the median of the
  calibration scores, the threshold is first multiplied by the ratio of both medians, and then
  selects the flagged records. A fault in less than half of the records does not move the median
  much.

A raised threshold returns to its value at training as soon as the records do not contradict this
value.
"""

from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.by_entity import Thresholds, of_entities
from aemon.detection.thresholds.tail import TINY
from aemon.detection.thresholds.threshold import Threshold, calibrate
from aemon.detection.thresholds.unlikely_bursts import unexplained

WINDOW_ALARMS = 15
"""Expected number of false alarms in a full window. This number is large enough to notice twice as
many false alarms, or a window without false alarms."""

LEAST_WINDOW, MOST_WINDOW = 500, 5000
"""Bounds of the number of records in a window, for any false-alarm rate."""

TURNS = 20
"""Number of recalibrations during which all records of a window are replaced by new records."""

LEAST_SHARE = 0.25
"""A threshold may move only if at least this share of the records of a full window is present."""

TOO_MANY, TOO_FEW = 2.0, 3.0
"""The number of records over a threshold contradicts the target rate if it is more than TOO_MANY
standard deviations above the expected number, or more than TOO_FEW standard deviations below the
expected number. Too many false alarms are worse than too few, so TOO_MANY is smaller."""

BELIEVED, FAULT = 3.0, 15.0
"""Of the records over the moved threshold, a number counts as normal: the expected number of false
alarms plus BELIEVED standard deviations. If more records than the expected number plus FAULT
standard deviations are over the moved threshold, there is a fault, and even its mildest records are
not false alarms. Then only the expected number counts as normal."""

WIDER = 10
"""If the expected number of records over a threshold is so small that 0 records are likely, the
records over the threshold for WIDER times the rate are also counted."""

NEWEST_SHARE = 0.5
"""The recent median is the median of the newest half of a window. A fault that is shorter than a
quarter of the window moves the median little; a longer change counts as normal data."""

PASSES = 2
"""The recent median is computed twice: from all records of the newest half, and then without the
records that the first pass left out."""

MATERIAL = 0.02
"""Least relative change of a threshold; with a smaller change, the threshold keeps its value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recent:
    """The newest judged records, oldest first, without absent records and records in maintenance.

    Attributes:
        scores: (n,) scores by the detector whose thresholds are recalibrated.
        entities: (n,) the entity of each record.
    """

    scores: Values
    entities: Texts


def window_records(rate: float) -> int:
    """Return the number of records in a full window, for a threshold with this false-alarm rate.

    >>> window_records(0.01), window_records(0.001), window_records(0.1)
    (1500, 5000, 500)
    """
    return int(np.clip(ceil(WINDOW_ALARMS / rate), LEAST_WINDOW, MOST_WINDOW))


def every_records(rate: float) -> int:
    """Return the number of new records after which a threshold is recalibrated again.

    >>> every_records(0.01)
    75
    """
    return window_records(rate) // TURNS


def recalibrate(
    base: Thresholds,
    current: Thresholds,
    recent: Recent,
    settings: ThresholdSettings,
    *,
    allowed: Mask | None = None,
) -> Thresholds | None:
    """Return thresholds recalibrated from the newest records; None if no threshold changes.

    Each threshold is compared with the newest `window_records` of its own records. The records of
    the pooled threshold are the records of all entities without their own threshold. If fewer than
    a quarter of `window_records` are present, the threshold keeps its value. A fixed threshold
    comes from the settings, and with `batch_fdr` thresholds are not used; in both cases the result
    is None.

    Args:
        base: the thresholds as computed at training.
        current: the active thresholds.
        recent: the newest records; for each threshold, at most `window_records` are used.
        settings: the method of the thresholds.
        allowed: (n,) True for records that count as normal because of feedback.
    """
    if settings.method == "fixed" or settings.batch_fdr is not None:
        return None
    if allowed is None:
        allowed = np.zeros(len(recent.scores), dtype=bool)
    pooled, own = current.pooled, dict(current.own)
    for name, rows in of_entities(recent.entities, own.keys()):
        first, now = (base.pooled, pooled) if name is None else (base.own[name], own[name])
        newest = rows[-window_records(now.false_alarm_rate) :]
        threshold = _moved(first, now, recent.scores[newest], allowed[newest], settings)
        if name is None:
            pooled = threshold
        else:
            own[name] = threshold
    if pooled is current.pooled and all(
        threshold is current.own[name] for name, threshold in own.items()
    ):
        return None
    return replace(current, pooled=pooled, own=own)


def _moved(
    base: Threshold, now: Threshold, scores: Values, allowed: Mask, settings: ThresholdSettings
) -> Threshold:
    """Return the new threshold from the scores (n,) of its records; `now` if nothing changes.

    The result is `base` if `now` is higher and the scores do not contradict `base`.
    """
    if len(scores) < LEAST_SHARE * window_records(now.false_alarm_rate):
        return now
    if now.value > base.value and not _contradiction(base, scores):
        return base
    direction = _contradiction(now, scores)
    if not direction:
        return now
    normal = ~_left_out(base, now, scores, allowed)
    if not normal.any():  # no record is below the threshold
        return base
    new = calibrate(
        scores[normal],
        now.false_alarm_rate,
        method=settings.method,
        critical_rate=now.critical_rate,
    )
    change = new.value / now.value - 1.0
    return new if direction * change >= MATERIAL else now


def _contradiction(threshold: Threshold, scores: Values) -> int:
    """Return 1 if too many of the scores (n,) are above a threshold, -1 if too few are, else 0.

    The number of false alarms of normal records has a Poisson distribution. A low rate makes a
    window without false alarms likely. Then `WIDER` times the rate is checked, too.
    """
    rate = threshold.false_alarm_rate
    found = _unlikely(float((scores > threshold.value).sum()), rate * len(scores))
    if found or rate * window_records(rate) > TOO_FEW**2:
        return found
    above = float((threshold.judge(scores) <= WIDER * rate).sum())
    return _unlikely(above, WIDER * rate * len(scores))


def _unlikely(count: float, expected: float) -> int:
    if count > expected + TOO_MANY * sqrt(expected):
        return 1
    return -1 if count < expected - TOO_FEW * sqrt(expected) else 0


def _left_out(base: Threshold, now: Threshold, scores: Values, allowed: Mask) -> Mask:
    """Return a mask (n,) of the scores that are left out when the new threshold is computed.

    These scores are above a moved threshold, and the target rate does not explain them. The moved
    threshold is the threshold of training times the shift of the median, or the active threshold
    times its own shift, if that product is lower. The active threshold may come from a time of low
    scores. The shift of the active threshold is at least 1: if this shift moved the threshold
    further down, the threshold could never rise again.
    """
    half = ceil(NEWEST_SHARE * len(scores))
    out = np.zeros(len(scores), dtype=bool)
    for _ in range(PASSES):
        newest = scores[-half:][~out[-half:]]
        if not len(newest):
            break
        middle = float(np.median(newest))
        threshold, shift = base, _shift(middle, base)
        if now.value * max(1.0, _shift(middle, now)) < base.value * shift:
            threshold, shift = now, max(1.0, _shift(middle, now))
        over = (scores > threshold.value * shift) & ~allowed
        p_values = np.full(len(scores), np.nan)
        p_values[over] = threshold.judge(scores[over] / shift, extrapolate=True)
        expected = threshold.false_alarm_rate * len(scores)
        fault = over.sum() > expected + FAULT * sqrt(expected)
        out = unexplained(p_values, threshold.false_alarm_rate, 0.0 if fault else BELIEVED)
    return out


def _shift(middle: float, threshold: Threshold) -> float:
    """Return the recent median, divided by the median of the calibration scores."""
    usual = _middle(threshold)
    return middle / usual if min(middle, usual) > TINY else 1.0  # zeros have no scale


def _middle(threshold: Threshold) -> float:
    """Return the median of the calibration scores, from the stored scores of the threshold."""
    place = np.searchsorted(-threshold.at_or_above, -threshold.records / 2)
    return float(threshold.kept[min(int(place), len(threshold.kept) - 1)])
