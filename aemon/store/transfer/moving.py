"""Export of a whole store to one file, and import, also between SQLite and PostgreSQL."""

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
"""Table name -> number of rows."""


def export(store: Store, path: Path, *, force: bool = False, batch: int = ROWS_AT_ONCE) -> Counts:
    """Write one consistent view of all tables into a file; return the number of rows by table.

    Daemons may run during the export. If the export fails, no incomplete file remains.

    Args:
        store: the store.
        path: the file.
        force: True to replace an existing file.
        batch: number of rows that are in memory at once.

    Raises:
        TransferError: the file already exists, or cannot be written.
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
                # At the default isolation level, each statement reads the rows that are committed
                # when the statement begins.
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
    # The query has no ORDER BY, because PostgreSQL would sort all scores on disk.
    return connection.execute(sa.select(table), execution_options=options).partitions()


def import_(store: Store, path: Path, *, batch: int = ROWS_AT_ONCE) -> Counts:
    """Import a file of `export` into an empty store; return the number of rows by table.

    Either all rows are imported, or none. Table `monitors` of the store may have rows: these rows
    only name monitors of the configuration, and rows of the file with the same name replace them.

    Args:
        store: the store, which has the schema, and no rows except in `monitors`.
        path: the file.
        batch: number of rows that are in memory at once.

    Raises:
        TransferError: the file is broken or has a different schema, or the store has rows.
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
            store.partitions.forget()  # the rollback removes partitions of the transaction
            raise
    return counts


def check(path: Path) -> None:
    """Check by its manifest whether this version can import a file. Do not read the rows.

    Raises:
        TransferError: the file is broken or has a different schema.
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
    """Lock an empty store against other writers; remove and return the rows of `monitors`.

    Raises:
        TransferError: a table has rows; only `monitors` may have rows.
    """
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
    """Set the sequences of PostgreSQL, so that new rows get larger ids than imported rows.

    SQLite needs no such step.
    """
    for table in metadata.sorted_tables if connection.dialect.name == "postgresql" else ():
        column = table.autoincrement_column
        if column is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            following = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, following, False)))
