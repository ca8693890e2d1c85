"""Dropping the monthly partitions of scores on PostgreSQL that retention has emptied."""

import re
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from aemon.store.store import Store

_MONTH = re.compile(r"scores_(\d{4})_(\d\d)")  # as `partitions` names them
_LOCK_WAIT = "200ms"  # a session waiting for a table's lock blocks all later sessions


def drop_empty_months(store: Store, before: datetime) -> list[str]:
    """Drop the partitions that have no rows and end before a moment; return their names.

    A partition that is in use is left to the next call.

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
    """Return whether a partition's month ends before a moment; the shared partition never ends."""
    match = _MONTH.fullmatch(name)
    if match is None:
        return False
    year, month = int(match[1]), int(match[2])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) <= before


def _has_rows(connection: sa.Connection, name: str) -> bool:
    query = sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)
    return connection.execute(query).first() is not None


def _drop(store: Store, name: str) -> bool:
    """Drop a partition; return False if it is in use, or if the user may not drop it."""
    try:
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            # The lock comes first: rows added between the check and the lock would be lost.
            connection.exec_driver_sql(f"LOCK TABLE ONLY scores, {name} IN ACCESS EXCLUSIVE MODE")
            if _has_rows(connection, name):
                return False
            # A table that `anomalies` refers to cannot be dropped while it is a partition.
            connection.exec_driver_sql(f"ALTER TABLE scores DETACH PARTITION {name}")
            connection.exec_driver_sql(f"DROP TABLE {name}")
    except DBAPIError:
        return False
    return True
