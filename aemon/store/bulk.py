"""Many rows at once: COPY on PostgreSQL, one prepared statement on SQLite, no row twice converted.

Both go through the driver, on the connection of a transaction that is open already.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import sqlalchemy as sa

Columns = Mapping[str, Sequence[Any]]
"""Column name -> its N values, in Python's types."""


def write_rows(connection: sa.Connection, table: sa.Table, columns: Columns) -> int:
    """Insert N rows into a table; how many there were. None may be there already."""
    count = len(next(iter(columns.values()), ()))
    if count:
        converted = [_converted(connection, table.c[name], columns[name]) for name in columns]
        rows = zip(*converted, strict=True)
        if connection.dialect.name == "postgresql":
            _copy(connection, table, columns, rows)
        else:
            _execute_many(connection, table, columns, rows)
    return count


def as_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows as columns; all rows have the first one's keys."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def same(value: Any, count: int) -> list[Any]:
    """A column of one value."""
    return list(repeat(value, count))


def _converted(
    connection: sa.Connection, column: sa.Column[Any], values: Sequence[Any]
) -> Iterable[Any]:
    """A column's values as the driver takes them."""
    dialect = connection.dialect
    convert = column.type.dialect_impl(dialect).bind_processor(dialect)
    return values if convert is None else map(convert, values)


def _names(connection: sa.Connection, table: sa.Table, columns: Columns) -> tuple[str, str]:
    quote = connection.dialect.identifier_preparer
    return quote.format_table(table), ", ".join(quote.quote(name) for name in columns)


def _copy(
    connection: sa.Connection, table: sa.Table, columns: Columns, rows: Iterable[Sequence[Any]]
) -> None:
    driver: Any = connection.connection.driver_connection
    into, named = _names(connection, table, columns)
    # As SQLAlchemy would say it itself: an error must not show values, only what went wrong.
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} ({named}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _execute_many(
    connection: sa.Connection, table: sa.Table, columns: Columns, rows: Iterable[Sequence[Any]]
) -> None:
    driver: Any = connection.connection.driver_connection
    into, named = _names(connection, table, columns)
    marks = ", ".join("?" * len(columns))
    driver.executemany(f"INSERT INTO {into} ({named}) VALUES ({marks})", rows)  # noqa: S608 -- quoted names
