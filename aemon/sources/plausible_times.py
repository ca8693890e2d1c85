"""Finds the last record with a plausible time, and the last readable time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from aemon.times.event_times import EARLIEST, LATEST

Times = npt.NDArray[np.datetime64]

BELIEVED_AHEAD = timedelta(days=366)
"""An event time further ahead of the clock than this is a mistake, such as the year 2099."""


def believable(times: Times, now: datetime, *, more: bool) -> int:
    """Return the number of records to read: up to the last record that may be the watermark.

    A record with a time too far ahead cannot be the watermark, because all later records would
    be older than the watermark and would never be read. A record with an unreadable time (NaT)
    can be the watermark only if `more` records follow.

    Args:
        times: (N,) event times in reading order.
        now: the current time, aware.
        more: whether the source holds records after these N records.
    """
    latest = np.datetime64((now + BELIEVED_AHEAD).astimezone(UTC).replace(tzinfo=None), "us")
    good = np.flatnonzero(np.where(np.isnat(times), more, times <= latest))
    return int(good[-1]) + 1 if len(good) else 0


def last_time(times: Times) -> datetime | None:
    """Return the last readable time of N event times, aware UTC; None if no time is readable."""
    readable = times[~np.isnat(times) & (times >= EARLIEST) & (times <= LATEST)]
    if not len(readable):
        return None
    moment: datetime = readable[-1].astype(datetime)
    return moment.replace(tzinfo=UTC)
