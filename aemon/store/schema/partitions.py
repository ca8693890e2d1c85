"""Monthly partitions of `scores` on PostgreSQL: created for new records, and quick to drop."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

OLDEST = timedelta(days=5 * 366)
FARTHEST = timedelta(days=366)
"""A month has its own partition if it began less than `OLDEST` ago and begins less than `FARTHEST`
in the future. Few records have other event times; all these records share one partition.

The limits are needed because thousands of partitions would slow the planning of each query.
"""


_LOCK_WAIT = "2s"
"""Longest wait for a lock. Creating a partition locks table `scores` briefly, and a session that
waits for the lock blocks all later sessions."""


class Partitions:
    """The months whose partitions are known to exist, so that each month is checked only once."""

    def __init__(self) -> None:
        self._present: set[datetime] = set()

    def make(
        self, connection: sa.Connection, times: npt.NDArray[np.datetime64], now: datetime
    ) -> None:
        """Create the missing monthly partitions for records; do nothing on SQLite.

        The partition of the next month is also created, so that no writer waits when the next month
        begins. If a partition cannot be created, for example because another session reads all of
        `scores`, the records of this month go to the shared partition.

        Args:
            connection: connection of the transaction that writes the records.
            times: (N,) event times of the records, in UTC.
            now: the present time.
        """
        if connection.dialect.name != "postgresql" or not len(times):
            return
        months = np.unique(times.astype("datetime64[M]")).astype("datetime64[us]").tolist()
        needed = {month.replace(tzinfo=UTC) for month in months} | {_next(_begin(now))}
        for begin in sorted(needed - self._present):
            if now - OLDEST < begin < now + FARTHEST and _is_settled(connection, begin):
                self._present.add(begin)

    def forget(self) -> None:
        """Forget all known months, after a rollback that may have removed new partitions."""
        self._present.clear()


def _begin(time: datetime) -> datetime:
    utc = time.astimezone(UTC)
    return utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _is_settled(connection: sa.Connection, begin: datetime) -> bool:
    """Create the partition of a month if it is missing; return False if a lock prevents this.

    After False, the caller tries again with the next records. Return True also if the partition can
    never be created.
    """
    name = f"scores_{begin:%Y_%m}"
    if connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": name}).scalar():
        return True
    # Only one writer at a time: two writers that create the same month would cause a deadlock.
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
    except OperationalError:  # `scores` is locked: the next records cause another attempt
        savepoint.rollback()
        return False
    except DBAPIError:
        # Either the shared partition already has records of this month, from a time when the month
        # was too far in the future, or the database user may not create tables. Further records of
        # the month also go to the shared partition.
        savepoint.rollback()
    return True
