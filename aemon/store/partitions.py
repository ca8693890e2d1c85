"""`scores` by month on PostgreSQL: made as records come, so that old months are cheap to drop."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

OLDEST = timedelta(days=5 * 366)
FARTHEST = timedelta(days=366)
"""Months from so long ago to so far ahead have a partition of their own, all others share one.

Thousands of months would slow every query's planning, and a table of the year 1970 is small.
"""


class Partitions:
    """Knows which months are there already, so that asking again costs nothing."""

    def __init__(self) -> None:
        self._there: set[str] = set()

    def make(
        self, connection: sa.Connection, times: npt.NDArray[np.datetime64], now: datetime
    ) -> None:
        """Make sure records of these event times (N,), in UTC, have their partitions."""
        if connection.dialect.name != "postgresql":
            return
        for first in np.unique(times.astype("datetime64[M]")).astype("datetime64[us]").tolist():
            begin = first.replace(tzinfo=UTC)
            name = f"scores_{begin:%Y_%m}"
            if name in self._there or not now - OLDEST < begin < now + FARTHEST:
                continue
            end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
            self._make(connection, name, begin, end)
            self._there.add(name)

    def forget(self) -> None:
        """Ask the database again: what was made in a transaction may have been taken back."""
        self._there.clear()

    @staticmethod
    def _make(connection: sa.Connection, name: str, begin: datetime, end: datetime) -> None:
        if connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": name}).scalar():
            return
        # One writer at a time: two that make the same month at once would wait for each other.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('aemon.partitions'))"))
        savepoint = connection.begin_nested()
        try:
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF scores"
                f" FOR VALUES FROM ('{begin:%Y-%m-%d} 00:00+00') TO ('{end:%Y-%m-%d} 00:00+00')"
            )
            savepoint.commit()
        except DBAPIError:
            # Records of that month are in the shared partition since a time when it was too far
            # off, or somebody may not make tables: that is where the others go, too.
            savepoint.rollback()
