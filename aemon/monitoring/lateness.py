"""Late records: which records are older than a record read before, and which are too late."""

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
    """Return the event time since which late records are still looked for.

    A repeated hour of local time is read as its first pass. Records of the second pass then come
    in behind these records, and are looked for until the hour is over.

    Args:
        newest: event time of the watermark.
        settings: settings of the monitor.
    """
    since = newest - (settings.lateness or LOOK_BACK)
    zone = ZoneInfo(getattr(settings.source, "timezone", "UTC"))
    for back in range(3):
        hour = (since - back * _HOUR).astimezone(zone).replace(minute=0, second=0, microsecond=0)
        first, second = hour.replace(fold=0), hour.replace(fold=1)
        if first.utcoffset() != second.utcoffset() and since < first.astimezone(UTC) + 2 * _HOUR:
            return min(since, first.astimezone(UTC) - _INSTANT)  # its first moment occurs twice
    return since


def lateness_of(
    frame: Frame, mark: Mark, lateness: timedelta | None, *, reviewed: bool
) -> tuple[Mask, Mask]:
    """Return masks of the late rows among N rows, and of those that are too late.

    While late records are looked for, the end of that period is the limit for both: a record is
    either found or too late, independent of how it was read. Context rows are neither.

    Args:
        frame: the rows.
        mark: the monitor's watermark.
        lateness: largest lateness of a record; None allows any.
        reviewed: whether late records are looked for behind the watermark.
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
    """Return a mask of N rows that are older than all records that are still looked for."""
    if mark.settled is None or mark.settled.event_time is None:
        return np.zeros(len(frame), dtype=bool)
    return (frame.times < naive_utc(mark.settled.event_time)) & frame.to_judge
