"""Quiet on purpose: which records over the line are stored as suppressed, by rules alone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from aemon.config.quiet_settings import Maintenance, QuietSettings
from aemon.config.values.cron import Cron
from aemon.detection.arrays import Mask, Times
from aemon.detection.judgement import Contribution
from aemon.frame import Frame, naive_utc
from aemon.records import Quiet, Snooze

MOST_UNCOUNTED = 0.5
"""Where the columns that count carry less than this share of the blame, an anomaly does not."""

_DAY = timedelta(days=1)


def in_maintenance(frame: Frame, calendar: Iterable[Maintenance]) -> Mask:
    """Which of N records lie in a stretch in which anomalies are expected (N,).

    A stretch has its first moment and not its last. One that recurs lasts as long as it says,
    whatever clocks are set to meanwhile.
    """
    found = np.zeros(len(frame), dtype=bool)
    for one in calendar:
        if one.cron is not None and one.lasts is not None:
            within = _recurring(frame.times, one.cron, one.lasts, ZoneInfo(one.timezone))
        elif one.since is not None and one.until is not None:
            within = _between(frame.times, naive_utc(one.since), naive_utc(one.until))
        else:
            continue
        found |= within if one.entity is None else within & (frame.entities == one.entity)
    return found


def in_snooze(frame: Frame, snoozes: Iterable[Snooze]) -> Mask:
    """Which of N records lie in a stretch that somebody wants to be quiet (N,)."""
    found = np.zeros(len(frame), dtype=bool)
    for one in snoozes:
        within = _between(frame.times, naive_utc(one.since), naive_utc(one.until))
        found |= within if one.entity is None else within & (frame.entities == one.entity)
    return found


def uncounted(contributions: Sequence[Contribution], settings: QuietSettings) -> Quiet | None:
    """Why an anomaly does not count by the columns to blame; None if it does.

    A numeric column counts where it deviates to its direction, if it has one, and by its least
    gap, if it has one. All others count. Too little left to blame, and the anomaly does not.
    """
    if not settings.directions and not settings.least_gaps:
        return None
    right = [part for part in contributions if _in_direction(part, settings)]
    if sum(part.share for part in right) < MOST_UNCOUNTED:
        return Quiet.DIRECTION
    large = sum(part.share for part in right if _is_large(part, settings))
    return Quiet.SMALL if large < MOST_UNCOUNTED else None


def records_before(times: Times, at: np.datetime64, window: timedelta) -> int:
    """How many of K records lie in the window that ends at a time, that time included."""
    return int(((times > at - np.timedelta64(window)) & (times <= at)).sum())


def _in_direction(part: Contribution, settings: QuietSettings) -> bool:
    direction, gap = settings.directions.get(part.column), _gap(part)
    return direction is None or gap is None or (gap > 0 if direction == "high" else gap < 0)


def _is_large(part: Contribution, settings: QuietSettings) -> bool:
    least, gap = settings.least_gaps.get(part.column), _gap(part)
    if least is None or gap is None or not isinstance(part.reconstructed, int | float):
        return True
    return abs(gap) >= max(least.absolute, least.relative * abs(part.reconstructed))


def _gap(part: Contribution) -> float | None:
    """Observed - expected of a numeric column, in its own units; None of any other."""
    observed, expected = part.observed, part.reconstructed
    if isinstance(observed, bool) or not isinstance(observed, int | float):
        return None
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return None
    return observed - expected


def _between(times: Times, since: np.datetime64, until: np.datetime64) -> Mask:
    within: Mask = (times >= since) & (times < until)
    return within


def _recurring(times: Times, cron: Cron, lasts: timedelta, zone: ZoneInfo) -> Mask:
    """Which of N times lie within `lasts` of a moment before them (N,)."""
    if not len(times):
        return np.zeros(0, dtype=bool)
    known = np.unique(times)
    # Moments are gone through day by day: not those between a record of long ago and the others.
    apart = np.flatnonzero(np.diff(known) > np.timedelta64(lasts + _DAY)) + 1
    begins = [
        naive_utc(moment)
        for part in np.split(known, apart)
        for moment in cron.moments(
            part[0].item().replace(tzinfo=UTC) - lasts, part[-1].item().replace(tzinfo=UTC), zone
        )
    ]
    if not begins:
        return np.zeros(len(times), dtype=bool)
    moments = np.sort(np.array(begins, dtype="datetime64[us]"))
    place = np.searchsorted(moments, times, side="right") - 1
    within: Mask = (place >= 0) & (times - moments[place] < np.timedelta64(lasts))
    return within
