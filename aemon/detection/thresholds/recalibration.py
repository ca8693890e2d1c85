"""Recalibration: lines that follow normal life as it moves, so that their promise is kept.

A line moves only when the records it judged contradict it: when more of them lie above it than
its promise makes likely, or fewer. It is then drawn anew from those records, by the same method.
What it flagged is not learned from but in two ways. Flagged records count as normal as far as the
promise explains them, the least odd first (`unexplained`). And the bulk of the scores is believed:
where their median has moved against that of the calibration, so has the line they are held
against, for a fault of less than half of the records it is taken of leaves a median where it was.

A line that was raised goes back to what it was at training as soon as that is contradicted no more.
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
"""False alarms that a window is expected to hold: enough to tell twice as many, or none."""

LEAST_WINDOW, MOST_WINDOW = 500, 5000
"""Records of a window, whatever the rate."""

TURNS = 20
"""A window is recalibrated upon so often before its records are all others."""

LEAST_SHARE = 0.25
"""A line is left alone until its window holds this share of its records."""

TOO_MANY, TOO_FEW = 2.0, 3.0
"""Standard deviations from the records expected above a line to those found there that contradict
it. A promise that is broken weighs more than one that is kept too well."""

BELIEVED, FAULT = 3.0, 15.0
"""Up to so many standard deviations above the expected false alarms, records beyond the moving line
still count as normal; but if more than the second number are there, it is a fault that brought
them, and its mildest records are no false alarms: then as many as expected count, and no more."""

WIDER = 10
"""Where a window expects too few records above a line to ever tell that there are too few, those
above the line of so many times its rate are counted, too."""

NEWEST_SHARE = 0.5
"""The bulk is that of the newest half of a window: a fault shorter than half of that moves it
little, and a lasting change is believed once it is longer."""

PASSES = 2
"""The bulk is taken once of all records, and once of those that were not left out."""

MATERIAL = 0.02
"""A line that would move by less, as a share of itself, stays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recent:
    """The last records judged, oldest first; no absent ones, and none of a maintenance.

    Attributes:
        scores: (n,) all of the detector whose lines these are.
        entities: (n,) what each belongs to.
    """

    scores: Values
    entities: Texts


def window_records(rate: float) -> int:
    """How many records a line of this rate is recalibrated upon.

    >>> window_records(0.01), window_records(0.001), window_records(0.1)
    (1500, 5000, 500)
    """
    return int(np.clip(ceil(WINDOW_ALARMS / rate), LEAST_WINDOW, MOST_WINDOW))


def every_records(rate: float) -> int:
    """After how many new records it is worth while to recalibrate again.

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
    """The lines as the last records want them; None where they stay as they are.

    Each line is held against the newest `window_records` of the records that it judges: its
    entity's own or, for the pooled one, those of all that have no line of their own. With fewer
    than a quarter of them it stays. A fixed line is what somebody said, and with `batch_fdr`
    none is used: both stay.

    Args:
        base: as drawn at training.
        current: as in force.
        recent: the last records; n = `window_records` of each line, or more, are of use.
        settings: how the lines were drawn.
        allowed: (n,) records that count as normal however odd they are, because somebody said so.
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
    """One line, after the scores (n,) it judged; the very same where they do not contradict it."""
    if len(scores) < LEAST_SHARE * window_records(now.false_alarm_rate):
        return now
    if now.value > base.value and not _contradiction(base, scores):
        return base
    wanted = _contradiction(now, scores)
    if not wanted:
        return now
    normal = ~_left_out(base, now, scores, allowed)
    if not normal.any():  # a line that none of its records is below
        return base
    new = calibrate(
        scores[normal],
        now.false_alarm_rate,
        method=settings.method,
        critical_rate=now.critical_rate,
    )
    change = new.value / now.value - 1.0
    return new if wanted * change >= MATERIAL else now


def _contradiction(threshold: Threshold, scores: Values) -> int:
    """Whether more of n scores are above a line than it promised (1), fewer (-1), or neither (0).

    Normal records make a Poisson number of false alarms. A promise so rare that none at all would
    be likely is looked at through the line of ten times its rate as well.
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
    """Which of n scores are not learned from.

    They are more than the promise explains, beyond a line that moves with the bulk: the one of
    training, or the one in force where that is lower. The latter may have been drawn from a bulk
    that had sunk: it moves with that, and only ever up, or it would never come back.
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
    """How many times the bulk that a line was drawn from the bulk of late is."""
    usual = _middle(threshold)
    return middle / usual if min(middle, usual) > TINY else 1.0  # zeros tell no scale


def _middle(threshold: Threshold) -> float:
    """The median of the calibration scores, which a line keeps thinned."""
    place = np.searchsorted(-threshold.at_or_above, -threshold.records / 2)
    return float(threshold.kept[min(int(place), len(threshold.kept) - 1)])
