"""Connections to a results database, and what each kind of database needs."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from aemon.config.values.addresses import public_address, read_store_address, without_secrets
from aemon.errors import ConfigError, RefusedError, StoreError
from aemon.times.far_times import read_far_times

BUSY_TIMEOUT_SECONDS = 10  # how long a SQLite writer waits for another one
_LIBPQ: dict[str, int | str] = {
    "connect_timeout": BUSY_TIMEOUT_SECONDS,
    # A server that lost its power says no goodbye; by default it is waited for for two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
_ABOUT_ROWS = ("22", "23", "54")
"""PostgreSQL's classes of errors that rows cause: their data, constraints, and limits of size."""
READ_ONLY = "aemon_read_only"  # execution option: do not take SQLite's write lock


def store_url(text: str) -> URL:
    """Parse a store's URL; plain `postgresql://` means psycopg 3.

    Raises:
        ConfigError: the text is no database URL, or names a database aemon does not write to.
    """
    try:
        url = read_store_address(text)
    except ValueError as error:  # which holds no part of the text
        raise ConfigError(f"store: {error}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url


def session_name(replica: str) -> str:
    """Return what PostgreSQL knows the sessions of a replica by; it takes 63 letters of ASCII.

    >>> session_name("one")
    'aemon 7a6c86f1'
    """
    return f"aemon {crc32(replica.encode()):08x}"


def open_engine(text: str, replica: str | None = None) -> sa.Engine:
    """An engine for the store at a URL; nothing is connected yet.

    Args:
        text: the URL.
        replica: whose sessions these are, of which others may end one that hangs.

    Raises:
        ConfigError: the URL is wrong or its driver is not installed.
    """
    url = store_url(text)
    sqlite = url.get_backend_name() == "sqlite"
    # Statements are shown with their values otherwise: records, in logs.
    options: dict[str, Any] = {"pool_pre_ping": not sqlite, "hide_parameters": True}
    if sqlite:
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    else:
        libpq = _LIBPQ | ({"application_name": session_name(replica)} if replica else {})
        options["connect_args"] = {
            name: value for name, value in libpq.items() if name not in url.query
        }
    try:
        engine = sa.create_engine(url, **options)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            f"store: no driver for {url.drivername}", todo="pip install 'aemon[postgresql]'"
        ) from error
    if sqlite:
        file = _SameFile(str(url.database))
        sa.event.listen(engine, "do_connect", file.check)
        sa.event.listen(engine, "connect", file.note)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", file.check)
        sa.event.listen(engine, "begin", _begin_sqlite)
    elif engine.driver == "psycopg":
        sa.event.listen(engine, "connect", read_far_times)  # feedback may hold until infinity
    return engine


_REPLACED = "its file was deleted or replaced since it was opened"


class _SameFile:
    """Holds an engine to the SQLite file that it opened first.

    SQLite goes on writing into a file that is in no folder any more, and a new connection makes an
    empty one in its place: all results would be lost without a word.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._opened: tuple[int, int] | None = None

    def note(self, _connection: Any, _record: object) -> None:
        """Remember which file it is."""
        if self._opened is None:
            self._opened = self._there()

    def check(self, *_: Any) -> None:
        """Look whether the path still leads there.

        Raises:
            OperationalError: it does not.
        """
        if self._opened is not None and self._there() != self._opened:
            raise sqlite3.OperationalError(_REPLACED)

    def _there(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. NORMAL: a power cut may lose the last commits,
    # watermark and verdicts alike, so they are made again; nothing is ever half there.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def make_durable(engine: sa.Engine) -> None:
    """Have all that is committed survive a loss of power; PostgreSQL sees to that at each commit.

    Raises:
        StoreError: the disk fails.
    """
    if engine.dialect.name != "sqlite":
        return
    written = Path(f"{engine.url.database}-wal")
    try:
        file = os.open(written, os.O_RDONLY)
    except FileNotFoundError:
        return  # all of it is in the database's own file, which SQLite has synchronised
    except OSError as error:
        raise StoreError(f"{written} cannot be opened: {error.strerror}") from None
    try:
        os.fsync(file)
    except OSError as error:
        raise StoreError(f"{written} cannot be written to the disk: {error.strerror}") from None
    finally:
        os.close(file)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that reads first and writes later fails when another writer came
    # in between; an immediate one waits for its turn instead.
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for reading: one consistent view, and no lock that a writer waits for."""
    with engine.connect() as connection:
        yield connection.execution_options(**{READ_ONLY: True})


@contextmanager
def store_errors(engine: sa.Engine) -> Iterator[None]:
    """Turn a database's errors into ours, naming the store without its password.

    Raises:
        RefusedError: it refuses what is written: trying again will not help.
        StoreError: it is away, busy or full: trying again may.
    """
    try:
        yield
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        orig = error.orig if isinstance(error, DBAPIError) else error
        # A driver's own error, from a bulk write, goes on to tell the row.
        told = str(orig) if isinstance(error, SQLAlchemyError) else str(orig).split("\n")[0]
        cause = without_secrets(told, engine.url) or type(orig).__name__
        dbapi = engine.dialect.loaded_dbapi
        of_rows = str(getattr(orig, "sqlstate", None) or "").startswith(_ABOUT_ROWS)
        if of_rows or isinstance(orig, dbapi.IntegrityError | dbapi.DataError):
            raise RefusedError(
                f"the store {public_address(engine.url)} refuses rows: {cause}",
                todo="the rows are at fault, not the database: please report this",
            ) from None
        raise StoreError(
            f"the store {public_address(engine.url)} failed: {cause}", todo=_advice(cause)
        ) from None


def _advice(cause: str) -> str:
    if cause == _REPLACED:
        return "put the file back, or restart aemon to go on with what is there now"
    if "unable to open database file" in cause:
        return (
            "let the user that aemon runs as enter the file's folder and write into it, "
            "or raise the limit of open files (ulimit -n)"
        )
    if "already exists" in cause:
        return "the database holds tables of another program: choose another database"
    return "check that the database is up and writable"
