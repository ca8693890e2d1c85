"""Connections to a user's database: read-only, with time limits; errors hold no passwords."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from aemon.config.values.addresses import public_address, without_secrets
from aemon.errors import PermanentError, SourceConfigError, SourceError
from aemon.sources.sql.duckdb_files import duckdb_engine
from aemon.sources.sql.open_connections import OpenConnections
from aemon.sources.sql.sessions import LONGEST, guard_sessions
from aemon.sources.sql.settings import STATEMENT_TIMEOUT
from aemon.times.far_times import read_far_times

_CONNECT_SECONDS = 10
_BUSY_SECONDS = 5.0  # longest wait for a SQLite writer
_RECYCLE_SECONDS = 1800  # firewalls drop connections that are idle for longer
_LITERALS = (r"'((?:[^']|'')*)'", r'"((?:[^"]|"")*)"', r"(\$\w*\$)(.*?)\1", r"\b\d{4,}\b")
# Errors quote the statement: PostgreSQL the line of the error, MySQL the text after the error,
# SQLite a literal without an end.
_QUOTED_STATEMENT = re.compile(
    r"\s*\bLINE \d+:.*|(?<= near )'.*'(?= at line \d)|(?<=unrecognized token: ).*", re.DOTALL
)
_ENDED_BY_TIMEOUT = (  # PostgreSQL, MariaDB, MySQL
    "due to statement timeout",
    "max_statement_time exceeded",
    "maximum statement execution time exceeded",
)
_MAKE_QUICKER = (
    "make an index on time and key, read fewer rows, or set a longer limit: statement_timeout: 2h"
)
_PATIENCE_SECONDS = 30  # aemon gives up a silent server this long after the timeout
_PACKAGES = {
    "psycopg": "aemon[postgresql]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "aemon[mysql]",
    "duckdb": "aemon[duckdb]",
}


def _literals(query: str) -> set[str]:
    """Return the quoted texts and long numbers of a query, which may be secrets."""
    found = (match for form in _LITERALS for match in re.finditer(form, query, re.DOTALL))
    return {match[match.lastindex or 0] for match in found}


class Database:
    """A database from which aemon only reads.

    Args:
        url: SQLAlchemy URL of the database.
        query: the configured query; messages never show its literals.
        statement_timeout: time after which the database ends a statement, if the database has such
            a limit.

    Raises:
        SourceConfigError: the URL is not valid, or its driver is not installed.
    """

    def __init__(
        self, url: str, query: str | None = None, statement_timeout: timedelta = STATEMENT_TIMEOUT
    ) -> None:
        self._lenient = False
        self._statement_timeout = statement_timeout
        self._literals = sorted(_literals(query or ""), key=len, reverse=True)
        try:
            self._url = sa.make_url(url)
        except (ArgumentError, ValueError):
            raise SourceConfigError(
                "the source's url is not a database URL",
                todo="write for example sqlite:///plant.db or postgresql://user@host/database",
            ) from None
        self._sqlite = self._url.drivername in {"sqlite", "sqlite+pysqlite"}
        if self._sqlite and self._url.database in {None, "", ":memory:"}:
            raise SourceConfigError(
                f"{self.name} is a database in memory, which no other program can write",
                todo="name a file: sqlite:///plant.db",
            )
        if self._sqlite and str(self._url.database).startswith("file:"):
            raise SourceConfigError(
                f"{self.name}: SQLite's own addresses (file:...) are not supported",
                todo="write the plain path: sqlite:///plant.db",
            )
        self.engine = self._make_engine()
        self._open = OpenConnections(self.engine)
        guard_sessions(self.engine, statement_timeout)
        if self.engine.driver == "psycopg":
            sa.event.listen(self.engine, "connect", read_far_times)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors of connecting and reading, including the errors of the driver's own cursor."""
        driver = self.engine.dialect.dbapi
        return (SQLAlchemyError, OSError, *((driver.Error,) if driver else ()))

    @property
    def name(self) -> str:
        """The address without password and options."""
        return public_address(self._url)

    def connect(self) -> sa.Connection:
        """Open a connection.

        Raises:
            SourceError: the source was closed.
            Exception: one of `errors`.
        """
        if self._open.is_cut:
            raise SourceError(f"{self.name}: the source was closed while it was read")
        return self.engine.connect()

    def url_for_libpq(self, options: str) -> str:
        """Return the address with its password, in the form that PostgreSQL's own library reads."""
        url = self._url.set(drivername="postgresql")
        given = str(url.query.get("options", ""))
        connect = {"options": f"{given} {options}".strip(), **self._connect_arguments()}
        query = {name: str(value) for name, value in connect.items()}
        shown = url.update_query_dict(query).render_as_string(hide_password=False)
        return shown.replace("+", "%20")  # libpq reads + as a plus sign, not as a space

    def cancelled_by(self, cancel: Callable[[], object]) -> AbstractContextManager[None]:
        """Return a context in which `close` calls `cancel`, for a read by another driver."""
        return self._open.cancelled_by(cancel)

    def close(self) -> None:
        """Cancel the reads of other threads and close all connections."""
        self._open.cut()
        self.engine.dispose()

    def became_lenient(self, error: BaseException) -> bool:
        """Replace wrong bytes in all later reads, if an error shows text that is not UTF-8.

        SQLite stores any bytes as text. Replacing wrong bytes makes reads slower, so aemon does not
        replace them by default.

        Returns:
            True if the same read may now succeed.
        """
        if self._lenient or not (self._sqlite and "decode to UTF-8" in str(error)):
            return False
        self._lenient = True
        return True

    def clean(self, error: BaseException) -> str:
        """Return the driver's message on one line, without password, query text and literals."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        text = _QUOTED_STATEMENT.sub("", str(cause))
        for literal in filter(None, self._literals):
            text = re.sub(rf"(?<!\w){re.escape(literal)}(?!\w)", "***", text)
        return without_secrets(text, self._url)

    def trouble(self, error: BaseException) -> PermanentError | SourceError:
        """Return aemon's error, with advice, for an error of connecting or reading."""
        if isinstance(error, FileNotFoundError):
            return SourceConfigError(
                f"{self.name}: no such file",
                todo="a relative path starts at the folder aemon was started in",
            )
        text = self.clean(error)
        if any(words in text for words in _ENDED_BY_TIMEOUT):
            return SourceError(f"{self.name}: {text}", todo=_MAKE_QUICKER)
        if "does not exist" in text and f'database "{self._url.database}"' in text:
            return SourceConfigError(f"{self.name}: {text}", todo="name a database that exists")
        return SourceError(f"{self.name}: {text}")

    def _make_engine(self) -> sa.Engine:
        try:
            if self._sqlite:
                return sa.create_engine("sqlite://", creator=self._open_sqlite, poolclass=NullPool)
            if self._url.get_backend_name() == "duckdb":
                return duckdb_engine(self._url)
            # No transaction stays open between reads: an open transaction would hold back vacuum.
            if self._url.get_backend_name() == "postgresql":
                # The server refuses writes, including those of functions in a view.
                kind: dict[str, Any] = {"execution_options": {"postgresql_readonly": True}}
            else:
                kind = {"isolation_level": "AUTOCOMMIT"}
            return sa.create_engine(
                self._url,
                pool_size=1,
                max_overflow=3,
                pool_pre_ping=True,
                pool_recycle=_RECYCLE_SECONDS,
                hide_parameters=True,
                connect_args=self._connect_arguments(),
                **kind,
            )
        except ModuleNotFoundError as error:
            package = _PACKAGES.get(error.name or "", error.name)
            raise SourceConfigError(
                f"{self.name}: the driver {error.name} is not installed",
                todo=f"pip install '{package}'",
            ) from None
        except NoSuchModuleError:
            if self._url.get_backend_name() == "duckdb":
                raise SourceConfigError(
                    f"{self.name}: DuckDB's dialect is not installed",
                    todo="pip install 'aemon[duckdb]'",
                ) from None
            raise SourceConfigError(
                f"{self.name}: SQLAlchemy does not know {self._url.drivername!r}",
                todo="correct the part of the url before :// or install its dialect",
            ) from None
        except (ArgumentError, TypeError, ValueError) as error:
            raise SourceConfigError(f"{self.name}: {self.clean(error)}") from None

    def _connect_arguments(self) -> dict[str, object]:
        if self._url.get_backend_name() == "postgresql" and self._url.get_driver_name() in {
            "psycopg",
            "psycopg2",
        }:
            name = self._url.query.get("application_name", "aemon")
            return {"connect_timeout": _CONNECT_SECONDS, "application_name": name}
        if self._url.get_backend_name() in {"mysql", "mariadb"}:
            return {"connect_timeout": _CONNECT_SECONDS, **self._read_timeout()}
        return {}

    def _read_timeout(self) -> dict[str, object]:
        """Return the timeout of the MySQL driver, which works if the server's timeout fails."""
        if "read_timeout" in self._url.query:
            return {}
        if self._url.get_driver_name() not in {"pymysql", "mysqldb"}:
            return {}
        seconds = min(self._statement_timeout, LONGEST).total_seconds() + _PATIENCE_SECONDS
        return {"read_timeout": round(seconds)}

    def _open_sqlite(self) -> sqlite3.Connection:
        """Open a read-only connection that makes no file and holds no lock between two reads."""
        file = Path(str(self._url.database)).absolute()
        if not file.is_file():
            raise FileNotFoundError(file)
        connection = sqlite3.connect(
            f"file:{quote(str(file))}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA query_only = ON")  # forbids writes to attached databases
        if self._lenient:
            connection.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
        return connection
