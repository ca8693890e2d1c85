"""The file of an exported store: a zip archive with one entry of JSON lines for every table.

Each line holds one row, as column name -> value. Times are ISO text in UTC, and bytes are base64.
Numbers are as exact as in the database. The entry `manifest.json` holds the schema revision, and
the number of rows and the sha256 of each entry.
"""

import hashlib
import json
import lzma
import struct
import zipfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from io import BufferedReader
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aemon import __version__
from aemon.errors import TransferError
from aemon.store.schema.column_types import UtcTime
from aemon.store.schema.revisions import HEAD_REVISION
from aemon.store.schema.tables import metadata
from aemon.store.store import Row

FORMAT_VERSION = 1
COMPRESSION_LEVEL = 3  # takes half the time of level 6; the file is a tenth larger
BYTES_AT_ONCE = 16 * 2**20  # bytes of lines in one batch; rows of `artifacts` are large
MOST_LINE_BYTES = 2**27  # bytes of one row; a detector takes a few million
MOST_MANIFEST_BYTES = 2**20
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
)  # fmt: skip
"""The errors that are raised if an archive is cut, changed or missing."""

ANOTHER_COPY = "export again, or use another copy of the file"

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Noted:
    """The data in the manifest about one entry: its number of rows and its sha256."""

    rows: int
    sha256: str


def write_entry(
    archive: zipfile.ZipFile, table: sa.Table, batches: Iterable[Sequence[sa.Row[Any]]]
) -> Noted:
    """Write all rows of a table into its entry; return the number of rows and the sha256.

    Args:
        archive: the archive.
        table: the table.
        batches: batches of rows; each row has all columns of the table, in the table's order.
    """
    names = table.c.keys()
    encode = json.JSONEncoder(separators=(",", ":")).encode
    as_json = [_as_json(column) for column in table.c]
    digest, count = hashlib.sha256(), 0
    with archive.open(_entry_name(table), "w", force_zip64=True) as entry:
        for rows in batches:
            columns = (
                values if convert is None else [v if v is None else convert(v) for v in values]
                for convert, values in zip(as_json, zip(*rows, strict=True), strict=True)
            )
            lines = [
                encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
            ]
            text = "\n".join([*lines, ""]).encode()
            digest.update(text)
            entry.write(text)
            count += len(lines)
    return Noted(count, digest.hexdigest())


def write_manifest(archive: zipfile.ZipFile, tables: Mapping[str, Noted], now: datetime) -> None:
    """Write the manifest, which must follow the entries because it holds their hashes."""
    noted = {
        "format": FORMAT_VERSION,
        "schema": HEAD_REVISION,
        "aemon": __version__,
        "exported_at": now.isoformat(),
        "tables": {name: asdict(entry) for name, entry in tables.items()},
    }
    archive.writestr(_MANIFEST, json.dumps(noted, indent=2))


def read_manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Noted]:
    """Return table name -> data in the manifest about the entry of the table.

    Raises:
        TransferError: `aemon db export` did not write the file, or the file has a different schema.
    """
    try:
        with archive.open(_MANIFEST) as manifest:
            noted = json.loads(manifest.read(MOST_MANIFEST_BYTES))
        written = (int(noted["format"]), str(noted["schema"]))
        version = noted["aemon"]
        tables = {name: Noted(**entry) for name, entry in noted["tables"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, *BROKEN) as error:
        raise TransferError(
            f"{path}: {_MANIFEST} is missing, or is not as `aemon db export` writes it",
            todo=ANOTHER_COPY,
        ) from error
    if written != (FORMAT_VERSION, HEAD_REVISION):
        older = written < (FORMAT_VERSION, HEAD_REVISION)
        raise TransferError(
            f"{path} has schema {written[1]} of aemon {version}; this aemon, {__version__}, "
            f"needs {HEAD_REVISION}",
            todo=f"import the file with aemon {version}, then run `aemon db upgrade` of this aemon"
            if older
            else f"install aemon {version} or newer",
        )
    if missing := sorted(metadata.tables.keys() - tables.keys()):
        raise TransferError(
            f"{path}: {_MANIFEST} does not name {', '.join(missing)}", todo=ANOTHER_COPY
        )
    return tables


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry of one table in an archive, and the data in the manifest about the entry."""

    path: Path
    archive: zipfile.ZipFile
    table: sa.Table
    noted: Noted

    @property
    def name(self) -> str:
        """The name of the entry in the archive."""
        return _entry_name(self.table)

    def broken(self, problem: object, line: int | str = "") -> TransferError:
        """Return an error that names the file, the entry, the line and the problem."""
        where = f"{self.path}: {self.name}"
        where += f", line {line}" if line else ""
        return TransferError(f"{where}: {problem}", todo=ANOTHER_COPY)

    def batches(self, batch: int) -> Iterator[tuple[int, list[Row]]]:
        """Yield (number of the first line, rows) of each batch.

        Before the last batch is yielded, the number of rows and the sha256 are compared with the
        manifest.

        Args:
            batch: the largest number of rows in a batch.

        Raises:
            TransferError: the entry is missing, cut or changed.
        """
        digest = hashlib.sha256()
        number, size, first = 0, 0, 1
        rows: list[Row] = []
        decode = _decoder(self.table)
        try:
            with self.archive.open(self.name) as entry:
                reader = BufferedReader(entry)  # type: ignore[type-var]
                while line := reader.readline(MOST_LINE_BYTES):
                    number += 1
                    if len(line) == MOST_LINE_BYTES:
                        raise self.broken("has more bytes than a row can have", line=number)
                    digest.update(line)
                    size += len(line)
                    rows.append(self._decoded(decode, line, number))
                    if len(rows) == batch or size >= BYTES_AT_ONCE:
                        yield first, rows
                        rows, size, first = [], 0, number + 1
        except KeyError:
            raise self.broken("is missing") from None
        except BROKEN as error:
            raise self.broken(error, line=number + 1) from error
        if number != self.noted.rows:
            problem = f"has {number} lines where {self.noted.rows} rows were exported"
            raise self.broken(problem, line=number)
        if digest.hexdigest() != self.noted.sha256:
            raise self.broken("the rows differ from the exported rows", line=f"1-{number}")
        if rows:
            yield first, rows

    def _decoded(self, decode: Callable[[bytes], Row], line: bytes, number: int) -> Row:
        try:
            return decode(line)
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            problem = f"not a row of {self.table.name}: {error}"
            raise self.broken(problem, line=number) from error


def _entry_name(table: sa.Table) -> str:
    return f"{table.name}.jsonl"


def _as_json(column: sa.Column[Any]) -> Callable[[Any], Any] | None:
    """Return a function that converts values of a column to JSON; None if none is needed."""
    if isinstance(column.type, UtcTime):
        return lambda time: time.isoformat(timespec="microseconds")
    if isinstance(column.type, sa.LargeBinary):
        return lambda content: b64encode(content).decode()
    return None


def _from_json(column: sa.Column[Any]) -> Callable[[Any], Any] | None:
    if isinstance(column.type, UtcTime):
        return datetime.fromisoformat
    if isinstance(column.type, sa.LargeBinary):
        return lambda text: b64decode(text, validate=True)
    return None


def _decoder(table: sa.Table) -> Callable[[bytes], Row]:
    """Return a function that decodes a line of a table into a row.

    The function raises `TypeError` or `ValueError` for an invalid line.
    """
    names = table.c.keys()
    converts = [(c.name, convert) for c in table.c if (convert := _from_json(c)) is not None]
    needed = itemgetter(*(column.name for column in table.c if not column.nullable))

    def decode(line: bytes) -> Row:
        row: Row = json.loads(line)
        if list(row) != names:
            raise ValueError("it has other columns")
        if None in needed(row):
            raise ValueError("a value is missing")
        for name, convert in converts:
            if row[name] is not None:
                row[name] = convert(row[name])
        return row

    return decode
