"""What every source does with the records it has read."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from aemon.times.event_times import EARLIEST, LATEST

Times = npt.NDArray[np.datetime64]

BELIEVED_AHEAD = timedelta(days=366)
"""A time further ahead of the clock is a slip of one, such as the year 9999 or 2099."""


def believable(times: Times, now: datetime, *, more: bool) -> int:
    """How many of N records there are up to the last one a watermark may stand on.

    It may not stand on a time too far ahead: all records to come would be behind it. Nor on one
    that cannot be read (NaT), unless `more` records follow and so show that it is not the end.
    """
    latest = np.datetime64((now + BELIEVED_AHEAD).astimezone(UTC).replace(tzinfo=None), "us")
    good = np.flatnonzero(np.where(np.isnat(times), more, times <= latest))
    return int(good[-1]) + 1 if len(good) else 0


def last_time(times: Times) -> datetime | None:
    """The last of N event times that can be read, aware UTC; None without one."""
    readable = times[~np.isnat(times) & (times >= EARLIEST) & (times <= LATEST)]
    if not len(readable):
        return None
    moment: datetime = readable[-1].astype(datetime)
    return moment.replace(tzinfo=UTC)
