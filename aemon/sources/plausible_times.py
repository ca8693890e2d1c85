"""What every source does with the records it has read."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from aemon.frame import Roles
from aemon.times.event_times import EARLIEST, LATEST

BELIEVED_AHEAD = timedelta(days=366)
"""A time further ahead of the clock is a slip of one, such as the year 9999 or 2099."""

_TAIL = 64  # records looked at first for the last readable event time


def believable(column: pd.Series, roles: Roles, now: datetime, *, more: bool) -> int:
    """How many records there are up to the last one a watermark may stand on.

    It may not stand on a time too far ahead: all records to come would be behind it. Nor on one
    that cannot be read, unless `more` records follow and so show that it is not the end.
    """
    latest = np.datetime64((now + BELIEVED_AHEAD).astimezone(UTC).replace(tzinfo=None), "us")
    for part in (column.iloc[-1:], column):
        times = roles.times_of(part)
        good = np.flatnonzero(np.where(np.isnat(times), more, times <= latest))
        if len(good):
            return len(column) - len(part) + int(good[-1]) + 1
    return 0


def last_time(column: pd.Series, roles: Roles) -> datetime | None:
    """The event time of the last record whose time can be read, aware UTC; None without one."""
    for part in (column.iloc[-1:], column.iloc[-_TAIL:], column):
        times = roles.times_of(part)
        readable = times[~np.isnat(times) & (times >= EARLIEST) & (times <= LATEST)]
        if len(readable):
            moment: datetime = readable[-1].astype(datetime)
            return moment.replace(tzinfo=UTC)
    return None
