"""Translates errors of a database to errors of aemon, with advice."""

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
"""PostgreSQL's classes of errors that values of a row cause, also within a view or function."""

_SQLITE_OF_ROWS = frozenset((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH))


def explain(
    error: Exception, database: Database, order: ReadingOrder, roles: Sequence[str], where: str
) -> AemonError:
    """Return aemon's error for a database error; check if a table or column is missing.

    Args:
        error: the error that connecting or reading raised.
        database: the database that was read.
        order: the reading order of the table or query.
        roles: the columns that must exist.
        where: a short description of the source.
    """
    if isinstance(error, DBAPIError) and error.statement is not None:
        try:
            return _missing(error, database, order, roles, where) or database.trouble(error)
        except database.errors:
            pass
    return database.trouble(error)


def is_of_a_row(error: Exception) -> bool:
    """Return whether values of single rows may cause an error; other rows are then readable."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state:
        return str(state).startswith(_OF_ROWS)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in _SQLITE_OF_ROWS and not _is_mistake(str(cause))
    # The class is known by its name: not every dialect gives the module of its driver's errors.
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
    for role in roles:
        if role not in names:
            return SourceConfigError(f"{where}: no column {role!r}", todo=there(names, role))
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
                todo="try the query in the database's own shell",
            )
        return None
    inspector = sa.inspect(connection)
    name, schema = order.written.name, order.written.schema
    tables = {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}
    if name in tables:
        return None
    written = f"{schema}.{name}" if schema else name
    return SourceConfigError(
        f"{database.name}: no table or view {written!r}", todo=there(tables, name)
    )


def _is_mistake(text: str) -> bool:
    """Return whether a message of SQLite says that the statement is wrong.

    SQLite has one class of errors for all causes, so the text of the message decides.
    """
    return any(
        words in text
        for words in ("no such", "syntax error", "ambiguous", "unrecognized", "incomplete input")
    )
