"""Makes database sessions read-only, with a statement timeout in the database.

A run that times out cancels its query, if the driver can cancel queries. The timeout in the
database is for drivers that cannot cancel, and for a daemon that has died. If the database's
administrator has set a shorter timeout, the shorter timeout is kept.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

LONGEST = timedelta(days=24)  # PostgreSQL counts milliseconds in 31 bits
_TIMED = "aemon_timed"  # key in a connection's info: whether transactions need the timeout

_POSTGRESQL_LOOK = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"
_MYSQL_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
_MYSQL_LIMITS = (  # MariaDB: seconds; MySQL: milliseconds; each server knows one setting
    ("max_statement_time", 1.0),
    ("max_execution_time", 1000.0),
)


def guard_sessions(engine: sa.Engine, timeout: timedelta) -> None:
    """Make all sessions of an engine read-only, and let their statements end after `timeout`.

    For PostgreSQL, options of the engine make transactions read-only, and this function sets only
    the timeout. Sessions of databases except PostgreSQL, MySQL and MariaDB are left unchanged:
    these databases have no such settings, or have them only in some versions.
    """
    seconds = min(timeout, LONGEST).total_seconds()
    if engine.dialect.name == "postgresql":
        milliseconds = max(round(1000 * seconds), 1)

        def look(connection: Any, record: Any) -> None:
            record.info[_TIMED] = _needs_timeout(connection, milliseconds)

        def limit(connection: sa.Connection) -> None:
            if connection.info.get(_TIMED):  # for this transaction: a pooler may share the session
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")

        sa.event.listen(engine, "connect", look)
        sa.event.listen(engine, "begin", limit)
    elif engine.dialect.name in {"mysql", "mariadb"}:

        def prepare(connection: Any, _record: object) -> None:
            _prepare_mysql(connection, seconds)

        sa.event.listen(engine, "connect", prepare)


def _needs_timeout(connection: Any, milliseconds: int) -> bool:
    """Return whether a server has a timeout setting that is off or above `milliseconds`."""
    cursor = connection.cursor()
    try:
        cursor.execute(_POSTGRESQL_LOOK)
        (setting,) = cursor.fetchone()
        return not 0 < int(setting) <= milliseconds
    except Exception:  # noqa: BLE001 -- some servers only use PostgreSQL's protocol
        return False
    finally:
        cursor.close()
        connection.rollback()


def _prepare_mysql(connection: Any, seconds: float) -> None:
    cursor = connection.cursor()
    try:
        with suppress(Exception):  # versions before 5.6, and proxies that do not allow this
            cursor.execute(_MYSQL_READ_ONLY)
        for name, units in _MYSQL_LIMITS:
            with suppress(Exception):
                cursor.execute(f"SELECT @@SESSION.{name}")
                (known,) = cursor.fetchone()
                needed = seconds * units
                if not 0 < float(known) <= needed:
                    whole = max(round(needed), 1)
                    cursor.execute(f"SET SESSION {name} = {needed if units == 1 else whole}")
                return
    finally:
        cursor.close()
