"""Recalibration: thresholds follow normal data as it moves, so that the target rate is kept.

A threshold moves only if the records it judged contradict it: if more of them are above it than the
target rate makes likely, or fewer. It is then computed again from these records, by the same
method. Flagged records are left out, with two exceptions:

- Flagged records count as normal up to the number that the target rate explains, the least unusual
  first (`unexplained`).
- The bulk of the scores is believed. If their median has moved from that of the calibration, the
  threshold that selects the flagged records moves with it. A fault in less than half of the records
  does not move their median much.

A raised threshold returns to its value at training as soon as the records do not contradict that.
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
"""Expected number of false alarms in a window: enough to notice twice as many, or none."""

LEAST_WINDOW, MOST_WINDOW = 500, 5000
"""Bounds of the records in a window, for any rate."""

TURNS = 20
"""Recalibrations from one window until all of its records are replaced."""

LEAST_SHARE = 0.25
"""Share of its records that a window must hold before a threshold may move."""

TOO_MANY, TOO_FEW = 2.0, 3.0
"""Standard deviations above and below the expected number of records over a threshold that
contradict it. A realised rate above the target rate is worse than a rate below it."""

BELIEVED, FAULT = 3.0, 15.0
"""Records beyond the moving threshold count as normal, up to the expected number of false alarms
plus BELIEVED standard deviations. With more than FAULT standard deviations there is a fault, and
its mildest records are not false alarms. Then only the expected number counts as normal."""

WIDER = 10
"""If a window expects too few records over a threshold to notice that there are too few, the
records over the threshold of WIDER times the rate are counted, too."""

NEWEST_SHARE = 0.5
"""The bulk is the newest half of a window. A fault shorter than half of that moves it little; a
lasting change is believed once it is longer."""

PASSES = 2
"""The bulk is measured once over all records, and once without the records that were left out."""

MATERIAL = 0.02
"""Least relative change of a threshold; with a smaller change it stays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recent:
    """The last judged records, oldest first, without absent ones and without maintenance.

    Attributes:
        scores: (n,) by the detector that has the thresholds.
        entities: (n,) the entity of each record.
    """

    scores: Values
    entities: Texts


def window_records(rate: float) -> int:
    """Return the number of records from which a threshold of this rate is recalibrated.

    >>> window_records(0.01), window_records(0.001), window_records(0.1)
    (1500, 5000, 500)
    """
    return int(np.clip(ceil(WINDOW_ALARMS / rate), LEAST_WINDOW, MOST_WINDOW))


def every_records(rate: float) -> int:
    """Return the number of new records after which to recalibrate again.

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
    """Return the thresholds recalibrated from the last records; None if all of them stay.

    Each threshold is compared with the newest `window_records` of the records it judges. For the
    pooled threshold these are the records of entities without their own threshold. With less than a
    quarter of these records, it stays. A fixed threshold comes from the settings, and with
    `batch_fdr` no threshold is used: both stay.

    Args:
        base: the thresholds as computed at training.
        current: the active thresholds.
        recent: the last records; `window_records` for each threshold can be used.
        settings: the method of the thresholds.
        allowed: (n,) records that count as normal because of feedback, even if unusual.
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
    """Return the new threshold after the scores (n,) it judged; `now` itself if it stays."""
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
    """Return 1 if too many of n scores are above a threshold, -1 if too few, else 0.

    Normal records give a Poisson number of false alarms. If the rate is so low that no false alarm
    at all would be likely, the threshold of `WIDER` times the rate is checked, too.
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
    """Return which of n scores are left out of the new threshold.

    These are the scores that the target rate does not explain, above a threshold that moves with
    the bulk. It is the threshold of training, or the active threshold if that is lower. The active
    threshold may come from a bulk that had fallen. It moves with the bulk, but only up, or it could
    never recover.
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
    """Return the recent median over the median of the threshold's calibration scores."""
    usual = _middle(threshold)
    return middle / usual if min(middle, usual) > TINY else 1.0  # zeros have no scale


def _middle(threshold: Threshold) -> float:
    """Return the median of the calibration scores, from the thinned scores of the threshold."""
    place = np.searchsorted(-threshold.at_or_above, -threshold.records / 2)
    return float(threshold.kept[min(int(place), len(threshold.kept) - 1)])
