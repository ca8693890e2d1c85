"""Connections to a results database, with the settings for SQLite and PostgreSQL."""

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

BUSY_TIMEOUT_SECONDS = 10  # how long a SQLite writer waits for another writer
_LIBPQ: dict[str, int | str] = {
    "connect_timeout": BUSY_TIMEOUT_SECONDS,
    # A server that loses power closes no connection; by default, a client waits two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
_ABOUT_ROWS = ("22", "23", "54")
"""The first two characters of PostgreSQL's codes for errors that rows cause: invalid data (22),
violated constraints (23), exceeded limits of size (54)."""
READ_ONLY = "aemon_read_only"  # execution option: the connection takes no write lock of SQLite


def store_url(text: str) -> URL:
    """Parse a store's URL; `postgresql://` without a driver selects psycopg 3.

    Raises:
        ConfigError: the text is not a database URL, or aemon does not support the database.
    """
    try:
        url = read_store_address(text)
    except ValueError as error:  # the error's text holds no part of the URL
        raise ConfigError(f"store: {error}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url


def session_name(replica: str) -> str:
    """Return the name of the PostgreSQL sessions of a replica.

    The name has a hash of the replica's name, because PostgreSQL allows only 63 ASCII characters.

    >>> session_name("one")
    'aemon 7a6c86f1'
    """
    return f"aemon {crc32(replica.encode()):08x}"


def open_engine(text: str, replica: str | None = None) -> sa.Engine:
    """Return an engine for the store at a URL, without opening a connection.

    Args:
        text: the URL.
        replica: name of the replica that opens the sessions. In PostgreSQL, other replicas find a
            hanging session by this name and may end the session.

    Raises:
        ConfigError: the URL is wrong, or the database driver is not installed.
    """
    url = store_url(text)
    sqlite = url.get_backend_name() == "sqlite"
    # Without `hide_parameters`, error texts and logs would show values of records.
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
        sa.event.listen(engine, "connect", read_far_times)  # the end of feedback may be `infinity`
    return engine


_REPLACED = "its file was deleted or replaced since it was opened"


class _SameFile:
    """The SQLite file that an engine opened first; the engine must not use any other file.

    If the file is deleted, SQLite continues to write into the deleted file, and a new connection
    creates an empty file at the same path. All results would be lost without a message.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._opened: tuple[int, int] | None = None

    def note(self, _connection: Any, _record: object) -> None:
        """Remember the identity (device and inode) of the file that was opened first."""
        if self._opened is None:
            self._opened = self._identity()

    def check(self, *_: Any) -> None:
        """Check that the path still belongs to the file that was opened first.

        Raises:
            OperationalError: the file was deleted or replaced.
        """
        if self._opened is not None and self._identity() != self._opened:
            raise sqlite3.OperationalError(_REPLACED)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in `_begin_sqlite`
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. NORMAL: a power cut may lose the last commits. Each
    # lost commit loses watermark and verdicts together; the records are then judged again.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def make_durable(engine: sa.Engine) -> None:
    """Write all commits of a SQLite file to the disk, so that they survive a loss of power.

    Do nothing for PostgreSQL, which writes each commit to the disk.

    Raises:
        StoreError: the disk fails.
    """
    if engine.dialect.name != "sqlite":
        return
    written = Path(f"{engine.url.database}-wal")
    try:
        file = os.open(written, os.O_RDONLY)
    except FileNotFoundError:
        return  # without a WAL file, all commits are in the database file, which SQLite has synced
    except OSError as error:
        raise StoreError(f"{written} cannot be opened: {error.strerror}") from None
    try:
        os.fsync(file)
    except OSError as error:
        raise StoreError(f"{written} cannot be written to the disk: {error.strerror}") from None
    finally:
        os.close(file)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that reads first and writes later fails if another writer commits in
    # between. An immediate transaction waits for its turn instead.
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection that reads one consistent view and takes no lock that blocks a writer."""
    with engine.connect() as connection:
        yield connection.execution_options(**{READ_ONLY: True})


@contextmanager
def store_errors(engine: sa.Engine) -> Iterator[None]:
    """Turn errors of a database into errors of aemon, which name the store without its password.

    Raises:
        RefusedError: the database refuses the rows; another attempt does not help.
        StoreError: the database is unreachable, busy or full; another attempt may help.
    """
    try:
        yield
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        orig = error.orig if isinstance(error, DBAPIError) else error
        # After a bulk write, the text of a driver's error has values of rows after its first line.
        text = str(orig) if isinstance(error, SQLAlchemyError) else str(orig).split("\n")[0]
        cause = without_secrets(text, engine.url) or type(orig).__name__
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
        return "put the file back, or restart aemon to continue with the present file"
    if "unable to open database file" in cause:
        return (
            "give the user account of aemon the right to enter the file's folder and to write into "
            "this folder, or raise the limit of open files (ulimit -n)"
        )
    if "already exists" in cause:
        return "the database holds tables of another program: choose another database"
    return "check that the database is up and writable"
