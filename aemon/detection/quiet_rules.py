"""Rules that suppress records above the threshold: calendars, snoozes, directions, least gaps."""

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
"""An anomaly is suppressed if the columns that count have less than this share of the blame;
`uncounted` describes which columns count."""

_DAY = timedelta(days=1)


def in_maintenance(frame: Frame, calendar: Iterable[Maintenance]) -> Mask:
    """Return a mask (N,) of records in maintenance periods, in which anomalies are expected.

    A period includes its first moment and excludes its last moment. A recurring period keeps its
    length when daylight saving time begins or ends.
    """
    found = np.zeros(len(frame), dtype=bool)
    for entry in calendar:
        if entry.cron is not None and entry.lasts is not None:
            within = _recurring(frame.times, entry.cron, entry.lasts, ZoneInfo(entry.timezone))
        elif entry.since is not None and entry.until is not None:
            within = _between(frame.times, naive_utc(entry.since), naive_utc(entry.until))
        else:
            continue
        found |= within if entry.entity is None else within & (frame.entities == entry.entity)
    return found


def in_snooze(frame: Frame, snoozes: Iterable[Snooze]) -> Mask:
    """Return a mask (N,) of records in periods for which a person has snoozed anomalies."""
    found = np.zeros(len(frame), dtype=bool)
    for snooze in snoozes:
        within = _between(frame.times, naive_utc(snooze.since), naive_utc(snooze.until))
        found |= within if snooze.entity is None else within & (frame.entities == snooze.entity)
    return found


def uncounted(contributions: Sequence[Contribution], settings: QuietSettings) -> Quiet | None:
    """Return why an anomaly is suppressed by the columns to blame; None if it is not suppressed.

    A numeric column with a configured direction counts only if it deviates in this direction. A
    numeric column with a configured least gap counts only if its gap is at least this gap. All
    other columns count. The anomaly is suppressed if the columns that count have less than
    `MOST_UNCOUNTED` of the blame.
    """
    if not settings.directions and not settings.least_gaps:
        return None
    counted = [part for part in contributions if _in_direction(part, settings)]
    if sum(part.share for part in counted) < MOST_UNCOUNTED:
        return Quiet.DIRECTION
    large = sum(part.share for part in counted if _is_large(part, settings))
    return Quiet.SMALL if large < MOST_UNCOUNTED else None


def records_before(times: Times, at: np.datetime64, window: timedelta) -> int:
    """Return how many of K records lie in the window that ends at `at`; `at` is included."""
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
    """Return observed minus expected value, in the column's units.

    Return None if one of the two values is not a number.
    """
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
    """Return a mask (N,) of times within `lasts` after a moment of the schedule."""
    if not len(times):
        return np.zeros(0, dtype=bool)
    known = np.unique(times)
    # Moments are searched near records only; long times without records are skipped.
    splits = np.flatnonzero(np.diff(known) > np.timedelta64(lasts + _DAY)) + 1
    begins = [
        naive_utc(moment)
        for part in np.split(known, splits)
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
