"""The footer of a Parquet file: its columns and row groups, without reading rows."""

import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from aemon.errors import SourceConfigError, SourceError
from aemon.sources.csv.files import check_plain
from aemon.sources.file_systems.opening import FilePath, State
from aemon.sources.file_systems.opening import state_of as state_at
from aemon.sources.file_systems.remote_path import RemotePath
from aemon.sources.parquet.columns import split_by_type

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
MOST_COLUMNS = 10_000  # as for CSV files
BROKEN = (pa.ArrowException, OSError, EOFError)
"""The errors that pyarrow raises for an unreadable file."""

NEAR_BYTES, FAR_BYTES = 1 << 16, 1 << 18
"""Number of bytes of a column in one read, from a local disk and from a remote file system."""

_END_BYTES = 8  # the footer's length and the magic number
_SAMPLE_BYTES = 65_536


class IncompleteError(SourceError):
    """A file cannot be read at present: the file is still being written, or is damaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footer:
    """The footer of a complete file.

    Attributes:
        rows: number of records in the file.
        groups: number of records in each row group.
        columns: the readable columns; a member of a structure has a name such as `motor.current`.
        top: the names of all top-level columns of the file.
        left_out: columns that cannot be read, such as lists and maps.
        mark: a hash that identifies the content of the file.
    """

    rows: int
    groups: tuple[int, ...]
    columns: tuple[str, ...]
    top: tuple[str, ...]
    left_out: tuple[str, ...]
    mark: str


def state_of(path: FilePath, *, now: bool = False) -> State:
    """Return the size, time and tag of a file; with `now`, do not use an earlier listing.

    Raises:
        SourceError: the state cannot be read.
    """
    try:
        return state_at(path, now=now)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def read_footer(path: FilePath) -> Footer:
    """Return the footer of a file.

    Raises:
        IncompleteError: the file has no footer, because it is still being written or is damaged.
        SourceConfigError: the file is not a Parquet file, is encrypted, has too many columns, or
            two columns of the same name.
        SourceError: the file cannot be read.
    """
    try:
        check_plain(path)
        with path.open_ranges() if isinstance(path, RemotePath) else path.open("rb") as file:
            mark = _mark_of(path, cast("BinaryIO", file))
            parquet = open_parquet(path)
            try:
                return _footer_of(path, parquet, mark)
            finally:
                parquet.close(force=True)  # closes also a file object that aemon opened
    except pa.ArrowException as error:
        raise damaged(path, error) from None
    except OSError as error:
        if error.errno is None:  # an error of pyarrow itself
            raise damaged(path, error) from None
        raise SourceError(f"{path}: {error.strerror or error}") from None


def open_parquet(path: FilePath) -> Any:
    """Open a Parquet file so that reading needs little memory.

    Raises:
        Exception: one of `BROKEN`.
    """
    # A row group is read column by column through buffers; nothing is fetched in advance.
    is_remote = isinstance(path, RemotePath)
    return pq.ParquetFile(
        path.open_ranges() if isinstance(path, RemotePath) else path,
        pre_buffer=False,
        buffer_size=FAR_BYTES if is_remote else NEAR_BYTES,
        coerce_int96_timestamp_unit="us",
    )


def damaged(path: FilePath, error: BaseException) -> IncompleteError:
    """Return the error for a file with unreadable content."""
    why = " ".join(str(error).split())[:200]
    return IncompleteError(
        f"{path} cannot be read as Parquet, or not yet: {why}",
        todo="write files under another name, such as .tmp, and rename them once they are complete; "
        "replace a damaged file",
    )


def _footer_of(path: FilePath, parquet: Any, mark: str) -> Footer:
    metadata = parquet.metadata
    schema = parquet.schema_arrow
    columns, left_out = split_by_type(schema)
    names = [*columns, *left_out]
    twice = sorted({name for name in names if names.count(name) > 1} if _repeats(names) else ())
    if twice:
        raise SourceConfigError(
            f"{path}: more than one column {', '.join(map(repr, twice))}",
            todo="give every column its own name",
        )
    if len(names) > MOST_COLUMNS:
        raise SourceConfigError(
            f"{path}: {len(names):,} columns, and at most {MOST_COLUMNS:,} can be read"
        )
    return Footer(
        rows=metadata.num_rows,
        groups=tuple(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)),
        columns=columns,
        top=tuple(schema.names),
        left_out=left_out,
        mark=mark,
    )


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _mark_of(path: FilePath, file: BinaryIO) -> str:
    """Return a hash that identifies the content of a file, from its footer and samples of data.

    The samples are needed: without statistics, files with different data may have equal footers.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    begin = file.read(len(MAGIC))
    if begin == ENCRYPTED:
        raise SourceConfigError(
            f"{path}: its footer is encrypted", todo="write the file without encryption"
        )
    if begin != MAGIC[: len(begin)]:
        raise SourceConfigError(
            f"{path}: is not a Parquet file: it does not begin with PAR1",
            todo="set path to a pattern that fits only Parquet files, such as exports/*.parquet",
        )
    file.seek(max(size - _END_BYTES, 0))
    end = file.read(_END_BYTES)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != MAGIC or size < len(MAGIC) + _END_BYTES + length:
        raise IncompleteError(f"{path} has no footer: it is still being written, or damaged")
    found = blake2b(digest_size=8)
    footer = size - _END_BYTES - length
    for start, count in (
        (footer, length),
        (0, min(_SAMPLE_BYTES, footer)),
        (max(footer - _SAMPLE_BYTES, 0), min(_SAMPLE_BYTES, footer)),
    ):
        file.seek(start)
        found.update(file.read(count))
    return found.hexdigest()
