"""A time limit for the queries of a connection, which the database itself enforces."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from aemon.errors import SlowQueryError

STEPS = 10_000  # instructions of SQLite between two checks of the clock: about a millisecond
_CANCELLED = "57014"  # PostgreSQL's code for a query that was cancelled, also by a time limit


@contextmanager
def time_limit(connection: sa.Connection, seconds: float | None) -> Iterator[None]:
    """Limit the time of the queries on an open connection; None sets no limit.

    In SQLite, all queries together have this time. In PostgreSQL, each statement has this time.

    Raises:
        SlowQueryError: a query took longer, and was stopped.
    """
    if seconds is None:
        yield
        return
    sqlite = connection.dialect.name == "sqlite"
    until = time.monotonic() + seconds
    driver: Any = connection.connection.driver_connection
    if sqlite:
        driver.set_progress_handler(lambda: time.monotonic() > until, STEPS)
    else:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
    try:
        yield
    except DBAPIError as error:
        ended = (
            time.monotonic() > until
            if sqlite
            else getattr(error.orig, "sqlstate", None) == _CANCELLED
        )
        if not ended:
            raise
        raise SlowQueryError(
            f"the query took longer than {seconds:g} s, and was stopped",
            todo="ask for less: a shorter period, one monitor or entity, or a smaller limit",
        ) from None
    finally:
        if sqlite:  # the pool gives the connection to others
            driver.set_progress_handler(None, 0)
