"""Export and import of a whole store as one file: also between SQLite and PostgreSQL."""

import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import sqlalchemy as sa

from aemon.config.values.addresses import public_address
from aemon.errors import TransferError
from aemon.store.bulk import as_columns, write_rows
from aemon.store.schema.tables import metadata, monitors, scores
from aemon.store.store import Row, Store
from aemon.store.transfer.archive import (
    ANOTHER_COPY,
    BROKEN,
    COMPRESSION_LEVEL,
    Entry,
    read_manifest,
    write_entry,
    write_manifest,
)

ROWS_AT_ONCE = 10_000

Counts = dict[str, int]
"""Table -> rows."""


def export(store: Store, path: Path, *, force: bool = False, batch: int = ROWS_AT_ONCE) -> Counts:
    """Write all tables, as they are at one moment, into one file; return the rows of each table.

    Daemons may continue to run. The file is written completely or not at all.

    Args:
        store: the store.
        path: the file.
        force: replace an existing file.
        batch: rows held in memory at once.

    Raises:
        TransferError: the file exists already or cannot be written.
        StoreError: the database fails.
    """
    if path.exists() and not force:
        raise TransferError(f"{path} exists already", todo="give another name, or --force")
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        unfinished = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                counts = _write(store, file, batch)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise TransferError(f"{path} cannot be written: {error.strerror or error}") from error
    return counts


def _write(store: Store, file: IO[bytes], batch: int) -> Counts:
    with zipfile.ZipFile(
        file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL
    ) as archive:
        with store.reading() as connection:
            if connection.dialect.name == "postgresql":
                # Otherwise every statement would see rows committed before it.
                connection.execution_options(isolation_level="REPEATABLE READ")
            noted = {
                table.name: write_entry(archive, table, _rows(connection, table, batch))
                for table in metadata.sorted_tables
            }
        write_manifest(archive, noted, store.now())
    return {name: entry.rows for name, entry in noted.items()}


def _rows(
    connection: sa.Connection, table: sa.Table, batch: int
) -> Iterator[Sequence[sa.Row[Any]]]:
    large = any(isinstance(column.type, sa.LargeBinary) for column in table.c)
    options = {"yield_per": 1 if large else batch}
    # Without an order: PostgreSQL would have to sort all scores on disk.
    return connection.execute(sa.select(table), execution_options=options).partitions()


def import_(store: Store, path: Path, *, batch: int = ROWS_AT_ONCE) -> Counts:
    """Read a file that `export` wrote into an empty store; return the rows of each table.

    All rows are imported, or none. The store may have rows in `monitors`, which are only names of
    the configuration; rows of the file replace them.

    Args:
        store: the store; with a schema, and no rows.
        path: the file.
        batch: rows held in memory at once.

    Raises:
        TransferError: the file is broken or of another schema, or the store has rows.
        StoreError: the database fails.
    """
    with _open(path) as archive:
        noted = read_manifest(path, archive)
        try:
            with store.writing() as connection:
                names = _claim(store, connection)
                counts = {
                    table.name: _read_table(
                        store, connection, Entry(path, archive, table, noted[table.name]), batch
                    )
                    for table in metadata.sorted_tables
                }
                if names:
                    connection.execute(store.insert_or_ignore(monitors), names)
                _number_on(connection)
        except BaseException:
            store.partitions.forget()  # partitions created in the transaction are rolled back
            raise
    return counts


def check(path: Path) -> None:
    """Check whether this version can import a file, without reading its rows.

    Raises:
        TransferError: the file is broken or of another schema.
    """
    with _open(path) as archive:
        read_manifest(path, archive)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except BROKEN as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TransferError(f"{path} cannot be read: {text}", todo=ANOTHER_COPY) from error


def _claim(store: Store, connection: sa.Connection) -> list[Row]:
    """Lock an empty store against other writers; return the removed rows of `monitors`."""
    if connection.dialect.name == "postgresql":
        named = ", ".join(table.name for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"LOCK TABLE {named} IN EXCLUSIVE MODE")
    for table in metadata.sorted_tables:
        some = sa.select(sa.literal(1)).select_from(table).limit(1)
        if table is not monitors and connection.execute(some).first():
            raise TransferError(
                f"the store {public_address(store.engine.url)} has rows in table {table.name}",
                todo="import into an empty database: name another `store` in the configuration",
            )
    names = [dict(row) for row in connection.execute(sa.select(monitors)).mappings()]
    connection.execute(sa.delete(monitors))
    return names


def _read_table(store: Store, connection: sa.Connection, entry: Entry, batch: int) -> int:
    count = 0
    api: Any = store.engine.dialect.loaded_dbapi
    refusals = (api.IntegrityError, api.DataError, api.ProgrammingError, OverflowError)
    for first, rows in entry.batches(batch):
        if entry.table is scores:
            times = [row["event_time"].replace(tzinfo=None) for row in rows]
            months = np.array(times, dtype="datetime64[M]")
            store.partitions.make(connection, months, store.now())
        try:
            count += write_rows(connection, entry.table, as_columns(rows))
        except refusals as error:
            text = str(error).split("\n", maxsplit=1)[0]  # without the row's values
            last = first + len(rows) - 1
            lines = f"{first}-{last}" if last > first else str(first)
            raise entry.broken(f"the store refuses: {text}", lines) from None
    return count


def _number_on(connection: sa.Connection) -> None:
    """Let PostgreSQL number new rows after the imported rows; SQLite does so by itself."""
    for table in metadata.sorted_tables if connection.dialect.name == "postgresql" else ():
        column = table.autoincrement_column
        if column is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            following = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, following, False)))
