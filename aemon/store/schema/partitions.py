"""`scores` by month on PostgreSQL: made as records come, so that old months are cheap to drop."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

OLDEST = timedelta(days=5 * 366)
FARTHEST = timedelta(days=366)
"""Months from so long ago to so far ahead have a partition of their own, all others share one.

Thousands of months would slow every query's planning, and a table of the year 1970 is small.
"""


_LOCK_WAIT = "2s"
"""Making a month locks all of `scores` for a moment; whoever waits for that holds up all others."""


class Partitions:
    """Knows which months are there already, so that asking again costs nothing."""

    def __init__(self) -> None:
        self._there: set[datetime] = set()

    def make(
        self, connection: sa.Connection, times: npt.NDArray[np.datetime64], now: datetime
    ) -> None:
        """Make sure records of these event times (N,), in UTC, have their partitions.

        The month after this one is made in good time, so that nobody waits for it when it begins.
        Where a month cannot be made, because somebody reads all of `scores`, say, its records go
        to the partition that all other times share.
        """
        if connection.dialect.name != "postgresql" or not len(times):
            return
        months = np.unique(times.astype("datetime64[M]")).astype("datetime64[us]").tolist()
        wanted = {month.replace(tzinfo=UTC) for month in months} | {_next(_begin(now))}
        for begin in sorted(wanted - self._there):
            if now - OLDEST < begin < now + FARTHEST and _made(connection, begin):
                self._there.add(begin)

    def forget(self) -> None:
        """Ask the database again: what was made in a transaction may have been taken back."""
        self._there.clear()


def _begin(time: datetime) -> datetime:
    utc = time.astimezone(UTC)
    return utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _made(connection: sa.Connection, begin: datetime) -> bool:
    """Make the partition of a month; whether there is nothing left to be done about it."""
    name = f"scores_{begin:%Y_%m}"
    if connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": name}).scalar():
        return True
    # One writer at a time: two that make the same month at once would wait for each other.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('aemon.partitions'))"))
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF scores"
            f" FOR VALUES FROM ('{begin:%Y-%m-%d} 00:00+00') TO ('{_next(begin):%Y-%m-%d} 00:00+00')"
        )
        connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
        savepoint.commit()
    except OperationalError:  # somebody holds `scores`: it is tried again with the next records
        savepoint.rollback()
        return False
    except DBAPIError:
        # Records of that month are in the shared partition since a time when it was too far off,
        # or this user may not make tables: that is where the others go, too.
        savepoint.rollback()
    return True
