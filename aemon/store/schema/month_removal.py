"""Drops monthly partitions of `scores` on PostgreSQL, after retention has removed all rows."""

import re
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from aemon.store.store import Store

_MONTH = re.compile(r"scores_(\d{4})_(\d\d)")  # names of partitions, as in module `partitions`
_LOCK_WAIT = "200ms"  # short, because a session that waits for a lock blocks later sessions


def drop_empty_months(store: Store, before: datetime) -> list[str]:
    """Drop empty partitions whose month ends at or before a time; return the dropped names.

    A partition that another session uses is not dropped; the next call tries again. On SQLite, do
    nothing.

    Raises:
        StoreError: the database fails.
    """
    if store.engine.dialect.name != "postgresql":
        return []
    query = sa.text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'scores'::regclass ORDER BY relname"
    )
    with store.reading() as connection:
        old = [name for name in connection.scalars(query) if _is_over(name, before)]
        empty = [name for name in old if not _has_rows(connection, name)]
    dropped = [name for name in empty if _drop(store, name)]
    if dropped:
        store.partitions.forget()
    return dropped


def _is_over(name: str, before: datetime) -> bool:
    """Return whether the month of a partition ends at or before a time.

    Return False for the shared partition, which has no month.
    """
    match = _MONTH.fullmatch(name)
    if match is None:
        return False
    year, month = int(match[1]), int(match[2])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) <= before


def _has_rows(connection: sa.Connection, name: str) -> bool:
    query = sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)
    return connection.execute(query).first() is not None


def _drop(store: Store, name: str) -> bool:
    """Drop a partition and return True; return False if the partition cannot be dropped.

    A partition cannot be dropped if it has rows, if another session uses it, or if the database
    user has no permission.
    """
    try:
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            # Lock before the check: rows that are added between check and lock would be lost.
            connection.exec_driver_sql(f"LOCK TABLE ONLY scores, {name} IN ACCESS EXCLUSIVE MODE")
            if _has_rows(connection, name):
                return False
            # A table that `anomalies` refers to cannot be dropped while it is a partition.
            connection.exec_driver_sql(f"ALTER TABLE scores DETACH PARTITION {name}")
            connection.exec_driver_sql(f"DROP TABLE {name}")
    except DBAPIError:
        return False
    return True
