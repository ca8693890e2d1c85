"""Finds late records, which are older than a record read earlier, and records that are too late."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Mask
from aemon.frame import Frame, naive_utc
from aemon.reading.reader import LOOK_BACK
from aemon.store.store import Mark

_HOUR = timedelta(hours=1)
_INSTANT = timedelta(microseconds=1)


def looked_for_since(newest: datetime, settings: MonitorSettings) -> datetime:
    """Return the event time from which late records are still looked for.

    At the end of summer time, one hour of local time occurs twice. Times of both hours are read as
    times of the first hour. So records of the second hour seem late. These records are looked for
    until the second hour has ended.

    Args:
        newest: event time of the watermark, aware.
        settings: settings of the monitor.
    """
    since = newest - (settings.lateness or LOOK_BACK)
    zone = ZoneInfo(getattr(settings.source, "timezone", "UTC"))
    for back in range(3):
        hour = (since - back * _HOUR).astimezone(zone).replace(minute=0, second=0, microsecond=0)
        first, second = hour.replace(fold=0), hour.replace(fold=1)
        if first.utcoffset() != second.utcoffset() and since < first.astimezone(UTC) + 2 * _HOUR:
            return min(since, first.astimezone(UTC) - _INSTANT)  # this moment occurs twice
    return since


def lateness_of(
    frame: Frame, mark: Mark, lateness: timedelta | None, *, reviewed: bool
) -> tuple[Mask, Mask]:
    """Return two masks (N,): of the late rows, and of the rows that are too late.

    Rows that are too late are late, too. If reviews look for late records, a row is too late if it
    is older than the start of the next review. So a record is either found by a review or too late.
    Without reviews, a row is too late if it is late by more than `lateness`. Context rows are not
    late.

    Args:
        frame: N rows.
        mark: the monitor's watermark.
        lateness: largest lateness of a record; None for no limit.
        reviewed: whether reviews look for late records before the watermark.
    """
    if not len(frame):
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    newest = np.maximum.accumulate(frame.times)
    if mark.watermark is not None and mark.watermark.event_time is not None:
        newest = np.maximum(newest, naive_utc(mark.watermark.event_time))
    late = (frame.times < newest) & frame.to_judge
    if lateness is None:
        return late, np.zeros(len(frame), dtype=bool)
    if not reviewed:
        return late, late & (newest - frame.times > np.timedelta64(lateness))
    return late, older_than_settled(frame, mark)


def older_than_settled(frame: Frame, mark: Mark) -> Mask:
    """Return a mask (N,) of rows before the mark `settled`, which are no longer looked for."""
    if mark.settled is None or mark.settled.event_time is None:
        return np.zeros(len(frame), dtype=bool)
    return (frame.times < naive_utc(mark.settled.event_time)) & frame.to_judge
