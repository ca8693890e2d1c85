"""Monthly partitions of `scores` on PostgreSQL: made as records arrive, cheap to drop when old."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

OLDEST = timedelta(days=5 * 366)
FARTHEST = timedelta(days=366)
"""Months between these distances from now have their own partition; all others share one.

Thousands of partitions would slow the planning of each query. Few records have other times.
"""


_LOCK_WAIT = "2s"
"""Creating a partition locks all of `scores` briefly; a session that waits blocks the others."""


class Partitions:
    """The months whose partitions exist, so that a month is created and checked once."""

    def __init__(self) -> None:
        self._present: set[datetime] = set()

    def make(
        self, connection: sa.Connection, times: npt.NDArray[np.datetime64], now: datetime
    ) -> None:
        """Create the partitions for records of these event times (N,), in UTC.

        The month after the current one is also created, so that no writer waits when it begins.
        If a month cannot be created, for example because another session reads all of `scores`,
        its records go to the shared partition of all other times.
        """
        if connection.dialect.name != "postgresql" or not len(times):
            return
        months = np.unique(times.astype("datetime64[M]")).astype("datetime64[us]").tolist()
        needed = {month.replace(tzinfo=UTC) for month in months} | {_next(_begin(now))}
        for begin in sorted(needed - self._present):
            if now - OLDEST < begin < now + FARTHEST and _is_settled(connection, begin):
                self._present.add(begin)

    def forget(self) -> None:
        """Forget the months: a transaction that created partitions may have been rolled back."""
        self._present.clear()


def _begin(time: datetime) -> datetime:
    utc = time.astimezone(UTC)
    return utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _is_settled(connection: sa.Connection, begin: datetime) -> bool:
    """Create the partition of a month; return False if it must be tried again later."""
    name = f"scores_{begin:%Y_%m}"
    if connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": name}).scalar():
        return True
    # One writer at a time: two writers that create the same month would wait for each other.
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
    except OperationalError:  # `scores` is locked: tried again with the next records
        savepoint.rollback()
        return False
    except DBAPIError:
        # Records of that month are in the shared partition already, from a time when the month was
        # too far ahead, or this user may not create tables. Further records go there, too.
        savepoint.rollback()
    return True
