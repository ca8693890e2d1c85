"""What went wrong with a database, as what a person can do about it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError

from aemon.errors import AemonError, SourceConfigError
from aemon.sources.source import there
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.reading_order import ReadingOrder

_OF_ROWS = ("21", "22", "2F", "38", "39", "54", "P0")
"""PostgreSQL's classes of errors that the values of a row cause, in a view or its functions, too."""

_SQLITE_OF_ROWS = frozenset((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH))


def explain(
    error: Exception, database: Database, order: ReadingOrder, roles: Sequence[str], where: str
) -> AemonError:
    """Return an error of the database as one of ours, after a look at what is there.

    Args:
        error: what connecting or reading raised.
        database: which.
        order: what was read.
        roles: the columns that have to be there.
        where: the source in a few words.
    """
    if isinstance(error, DBAPIError) and error.statement is not None:
        try:
            return _missing(error, database, order, roles, where) or database.trouble(error)
        except database.errors:
            pass
    return database.trouble(error)


def is_of_a_row(error: Exception) -> bool:
    """Return whether an error may come of some rows alone: the rest can then be read without them."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state:
        return str(state).startswith(_OF_ROWS)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in _SQLITE_OF_ROWS and not _is_mistake(str(cause))
    # By name: not every dialect says which module its driver's errors are from.
    return any(kind.__name__ == "DataError" for kind in type(cause).__mro__)


def _missing(
    error: DBAPIError, database: Database, order: ReadingOrder, roles: Sequence[str], where: str
) -> AemonError | None:
    with database.connect() as connection:
        try:
            cursor: Any = connection.execute(order.no_written_row()).cursor
        except DBAPIError:
            connection.rollback()
            return _missing_table(connection, error, database, order, where)
        names = [column[0] for column in cursor.description]
    for wanted in roles:
        if wanted not in names:
            return SourceConfigError(f"{where}: no column {wanted!r}", todo=there(names, wanted))
    return None


def _missing_table(
    connection: sa.Connection,
    error: DBAPIError,
    database: Database,
    order: ReadingOrder,
    where: str,
) -> AemonError | None:
    if not isinstance(order.written, sa.TableClause):
        if isinstance(error, ProgrammingError) or _is_mistake(database.clean(error)):
            return SourceConfigError(
                f"{where}: the query fails: {database.clean(error)}",
                todo="try it in the database's own shell",
            )
        return None
    look = sa.inspect(connection)
    name, schema = order.written.name, order.written.schema
    tables = {*look.get_table_names(schema), *look.get_view_names(schema)}
    if name in tables:
        return None
    written = f"{schema}.{name}" if schema else name
    return SourceConfigError(
        f"{database.name}: no table or view {written!r}", todo=there(tables, name)
    )


def _is_mistake(text: str) -> bool:
    """Whether SQLite, which has one class of error for all, blames the statement."""
    return any(
        words in text
        for words in ("no such", "syntax error", "ambiguous", "unrecognized", "incomplete input")
    )
