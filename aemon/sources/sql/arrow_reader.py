"""Reads PostgreSQL through ADBC, as columns of Arrow and not as rows of Python objects.

ADBC and psycopg return some types differently. ADBC returns numeric as text and enums as bytes; for
an infinite time, ADBC returns a wrong year without an error. So the database casts numeric values
and enums for ADBC, and psycopg reads queries with other types that differ.
"""

import threading
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import sqlalchemy as sa

from aemon.errors import SourceConfigError
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.open_connections import CANCEL_SECONDS

_NUMERIC = 1700
_UNCHANGED = frozenset(
    # bool, int8, int2, int4, text, float4, float8, bpchar, varchar, date, timestamp, timestamptz
    (16, 20, 21, 23, 25, 700, 701, 1042, 1043, 1082, 1114, 1184)
)
_FIRST_OF_USERS = 16384  # smaller object ids belong to PostgreSQL itself
_TYPES = "SELECT count(*) FROM pg_catalog.pg_type WHERE oid = ANY(%s) AND typtype = 'e'"
_TIMEOUT = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'"
_YEARS_US = (
    -62_135_596_800_000_000,
    253_402_300_799_999_999,
)  # microseconds of the years 1 to 9999, the range of Python's datetime
_YEARS_DAYS = (-719_162, 2_932_896)
_PLAIN = (bool, int, float, str, Decimal, datetime, date, type(None))

Read = tuple[pd.DataFrame, dict[str, Any], bool]
"""A table, the raw values of its last row by column, and whether there are more rows."""


class ArrowReader:
    """A reader of the queries of one source; psycopg reads all queries that ADBC cannot read.

    Args:
        database: a PostgreSQL database, connected by psycopg.
        roles: the columns of time, key and entity: a position holds their raw values, so ADBC and
            psycopg must return equal values.

    Raises:
        SourceConfigError: ADBC is not installed, or the driver of the database is not psycopg.
    """

    def __init__(self, database: Database, roles: Iterable[str]) -> None:
        try:
            import adbc_driver_postgresql.dbapi
        except ModuleNotFoundError:
            raise SourceConfigError(
                "read_with: adbc needs the packages of ADBC, which are not installed",
                todo="pip install 'aemon[adbc]'",
            ) from None
        if database.engine.driver != "psycopg":
            raise SourceConfigError(
                f"{database.name}: read_with: adbc is for PostgreSQL",
                todo="leave read_with out, or write postgresql:// before the address",
            )
        self._adbc = adbc_driver_postgresql.dbapi
        self._database = database
        self._roles = frozenset(roles)
        self._reads = True
        self._connection: Any = None  # kept open while more rows follow: connecting is slow
        self._reading = threading.Lock()

    def read(self, query: sa.Select[Any], limit: int) -> Read | None:
        """Return the first `limit` rows of a query; None if psycopg must read the rows.

        Args:
            query: a query with a limit above `limit`, so that the result shows whether there are
                more rows.
            limit: maximum number of rows returned.

        Raises:
            Exception: one of the database's `errors`.
        """
        if not self._reads:
            return None
        with self._database.connect() as connection:
            statement = self._statement(connection, query)
            timeout = connection.exec_driver_sql(_TIMEOUT).scalar_one()
        if statement is None:
            self._reads = False  # the types of its columns stay the same
            return None
        try:
            table = self._fetch(statement, str(timeout))
        except self._adbc.Error:
            return None  # psycopg then runs the query, or reports the error
        if _has_far_times(table):
            return None
        more = table.num_rows > limit
        if not more:
            self.close()
        table = table.slice(0, limit)
        last = {
            name: table.column(name)[-1].as_py() if table.num_rows else None
            for name in table.column_names
            if name in self._roles
        }
        return table.to_pandas(split_blocks=True), last if table.num_rows else {}, more

    def close(self) -> None:
        """Close the connection, unless another thread still reads after `CANCEL_SECONDS`."""
        if self._reading.acquire(timeout=CANCEL_SECONDS):
            try:
                self._disconnect()
            finally:
                self._reading.release()

    def _fetch(self, statement: str, timeout: str) -> Any:
        with self._reading:
            if self._connection is None:
                options = f"-c default_transaction_read_only=on -c statement_timeout={timeout}"
                url = self._database.url_for_libpq(options)
                self._connection = self._adbc.connect(url, autocommit=True)
            try:
                with (
                    self._connection.cursor() as cursor,
                    self._database.cancelled_by(cursor.adbc_cancel),
                ):
                    cursor.execute(statement)
                    return cursor.fetch_arrow_table()
            except self._adbc.Error:
                self._disconnect()
                raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _statement(self, connection: sa.Connection, query: sa.Select[Any]) -> str | None:
        """Return a query as text, with values quoted by psycopg; None if ADBC cannot read it."""
        from psycopg import ClientCursor

        compiled = query.compile(dialect=self._database.engine.dialect)
        given = compiled.construct_params()
        if not all(isinstance(value, _PLAIN) for value in given.values()):
            return None
        described: Any = connection.execute(query.limit(0)).cursor
        columns = [(column.name, column.type_code) for column in described.description]
        described.close()
        driver: Any = connection.connection.driver_connection
        if not self._can_be_read(driver, columns):
            return None
        cursor = ClientCursor(driver)
        quote = self._database.engine.dialect.identifier_preparer.quote_identifier
        names = ", ".join(f"{quote(name)}{_cast(kind)} AS {quote(name)}" for name, kind in columns)
        # Names are quoted by the dialect, and values by the driver.
        return f"SELECT {names} FROM ({cursor.mogrify(compiled.string, given)}) AS rows"  # noqa: S608

    def _can_be_read(self, driver: Any, columns: Sequence[tuple[str, int]]) -> bool:
        names = [name for name, _ in columns]
        if len(set(names)) < len(names):
            return False
        unsuitable = {kind for name, kind in columns if name in self._roles} - _UNCHANGED
        users = sorted({kind for _, kind in columns if kind >= _FIRST_OF_USERS})
        known = {*_UNCHANGED, _NUMERIC, *users}
        if unsuitable or not {kind for _, kind in columns} <= known:
            return False
        (enums,) = driver.execute(_TYPES, [users]).fetchone()
        return bool(enums == len(users))


def _cast(kind: int) -> str:
    if kind == _NUMERIC:
        return "::float8"
    return "::text" if kind >= _FIRST_OF_USERS else ""


def _has_far_times(table: Any) -> bool:
    """Return whether a column holds times outside Python's range, such as infinite times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            whole, (first, last) = column.cast(pa.int64()), _YEARS_US
        elif pa.types.is_date32(column.type):
            whole, (first, last) = column.cast(pa.int32()), _YEARS_DAYS
        else:
            continue
        found = pc.min_max(whole).as_py()
        if found["min"] is not None and not first <= found["min"] <= found["max"] <= last:
            return True
    return False
