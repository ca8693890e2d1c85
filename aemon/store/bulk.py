"""Writes many rows: with COPY on PostgreSQL, with one prepared statement on SQLite.

Both ways use the database driver directly, on the connection of an open transaction. Each value is
converted once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aemon.store.schema.column_types import Truth, UtcTime, time_text

Times = npt.NDArray[np.datetime64]
Columns = Mapping[str, Sequence[Any] | Times]
"""Column name -> the N values of the column, in Python's types. Times may also be an array (N,)
of datetime64 in UTC."""


def write_rows(connection: sa.Connection, table: sa.Table, columns: Columns) -> int:
    """Insert N rows into a table; return N. No row with the same key may exist."""
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
    """Return rows as columns; every row must have the keys of the first row."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


class Same(Sequence[Any]):
    """A column with the same value in all rows; `write_rows` converts the value once."""

    def __init__(self, value: Any, count: int) -> None:
        self.value = value
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self.value

    def __iter__(self) -> Iterator[Any]:
        return repeat(self.value, self._count)


def _converted(
    connection: sa.Connection, column: sa.Column[Any], values: Sequence[Any] | Times
) -> Iterable[Any]:
    """Return the values of a column in the types that the database driver accepts."""
    dialect = connection.dialect
    kind = column.type
    if isinstance(kind, Truth):
        return values  # both drivers accept truth values; the SQLite driver writes 0 and 1
    if isinstance(values, np.ndarray):
        return _time_texts(values, dialect.name)
    if isinstance(kind, UtcTime) and dialect.name == "sqlite":
        convert: Any = time_text  # SQLAlchemy's own conversion takes twice as long
    else:
        convert = kind.dialect_impl(dialect).bind_processor(dialect)
    if convert is None:
        return values
    if isinstance(values, Same):
        return Same(convert(values.value), len(values))
    return [value if value is None else convert(value) for value in values]


def _time_texts(times: Times, dialect: str) -> list[str]:
    """Return times as text for a database.

    One call of NumPy converts the whole array: ten times as fast as the conversion of single
    datetime objects.

    Args:
        times: (N,) datetime64 in UTC.
        dialect: `sqlite` or `postgresql`.
    """
    on_sqlite = dialect == "sqlite"
    zone: Literal["naive", "UTC"] = "naive" if on_sqlite else "UTC"
    letters = np.ascontiguousarray(np.datetime_as_string(times, unit="us", timezone=zone))
    if on_sqlite:  # as in `time_text`: a blank instead of the T of ISO 8601
        letters.view("U1").reshape(len(times), -1)[:, len("2026-11-20")] = " "
    texts: list[str] = letters.tolist()
    return texts


def take(columns: Columns, places: Sequence[int]) -> Columns:
    """Return the rows with these row numbers, as columns."""
    return {
        name: values[np.array(places, dtype=np.intp)]
        if isinstance(values, np.ndarray)
        else [values[place] for place in places]
        for name, values in columns.items()
    }


def _names(connection: sa.Connection, table: sa.Table, columns: Columns) -> tuple[str, str]:
    quote = connection.dialect.identifier_preparer
    return quote.format_table(table), ", ".join(quote.quote(name) for name in columns)


def _copy(
    connection: sa.Connection, table: sa.Table, columns: Columns, rows: Iterable[Sequence[Any]]
) -> None:
    driver: Any = connection.connection.driver_connection
    into, named = _names(connection, table, columns)
    # Errors of this bulk write show only the cause and no values: see `store_errors`.
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
