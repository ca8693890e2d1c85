"""Which event times of the records read are plausible, and which of them is the last."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from aemon.times.event_times import EARLIEST, LATEST

Times = npt.NDArray[np.datetime64]

BELIEVED_AHEAD = timedelta(days=366)
"""An event time further ahead of the clock is a mistake, such as the year 9999 or 2099."""


def believable(times: Times, now: datetime, *, more: bool) -> int:
    """Return how many of N records there are up to the last one that may be the watermark.

    A time too far ahead cannot be the watermark: all later records would be behind it. Nor can
    an unreadable time (NaT), unless `more` records follow and show that it is not the end.

    Args:
        times: (N,) event times in reading order.
        now: the time, aware.
        more: whether the source holds records after these.
    """
    latest = np.datetime64((now + BELIEVED_AHEAD).astimezone(UTC).replace(tzinfo=None), "us")
    good = np.flatnonzero(np.where(np.isnat(times), more, times <= latest))
    return int(good[-1]) + 1 if len(good) else 0


def last_time(times: Times) -> datetime | None:
    """Return the last readable one of N event times, aware UTC; None if none is readable."""
    readable = times[~np.isnat(times) & (times >= EARLIEST) & (times <= LATEST)]
    if not len(readable):
        return None
    moment: datetime = readable[-1].astype(datetime)
    return moment.replace(tzinfo=UTC)
