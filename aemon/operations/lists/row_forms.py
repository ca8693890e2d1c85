"""Writes lists page by page: as CSV, or as Parquet with the extra `parquet`."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Protocol, Union, get_args, get_origin, get_type_hints

from aemon.errors import UnavailableFormError
from aemon.operations.json_form import plain

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_IN_A_GROUP = 10_000  # of a Parquet file; all rows of a group are in memory together


class RowForm(Protocol):
    """A file format in which a list is written page by page."""

    media_type: str
    ending: str  # the ending of a file's name, without the dot

    def begin(self) -> bytes:
        """Return the bytes before the first row."""
        ...

    def add(self, rows: Sequence[Any]) -> bytes:
        """Take rows; return the bytes that can be written now, perhaps none."""
        ...

    def end(self) -> bytes:
        """Return the last bytes: rows that were kept, and the end of the file."""
        ...


class CsvForm(RowForm):
    """A list as CSV (RFC 4180) in UTF-8; the first line has the names of the columns.

    A value that is an object or a list is JSON text; null is an empty cell.

    Args:
        kind: the dataclass of the rows.
    """

    media_type = "text/csv; charset=utf-8; header=present"
    ending = "csv"

    def __init__(self, kind: type[Any]) -> None:
        self._names = [field.name for field in fields(kind)]

    def begin(self) -> bytes:
        """Return the line with the names of the columns."""
        return _csv([self._names])

    def add(self, rows: Sequence[Any]) -> bytes:
        """Return the lines of the rows."""
        return _csv([[_cell(getattr(row, name)) for name in self._names] for row in rows])

    def end(self) -> bytes:
        """Return no bytes: a CSV file has nothing after its last row."""
        return b""


def _csv(lines: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    shown = plain(value)
    return json.dumps(shown, ensure_ascii=False) if isinstance(shown, dict | list) else shown


class ParquetForm(RowForm):
    """A list as a Parquet file; a value that is an object or a list is JSON text.

    Args:
        kind: the dataclass of the rows.

    Raises at construction:
        UnavailableFormError: pyarrow is not installed.
    """

    media_type = "application/vnd.apache.parquet"
    ending = "parquet"

    def __init__(self, kind: type[Any]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise UnavailableFormError(
                "Parquet needs the package pyarrow, which is not installed",
                todo="pip install 'aemon[parquet]' where the daemon runs, or ask for CSV",
            ) from None
        hints = get_type_hints(kind)
        self._types = {field.name: _kind_of(hints[field.name]) for field in fields(kind)}
        arrow = {
            int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
            datetime: pa.timestamp("us", "UTC"), str: pa.string(),
        }  # fmt: skip
        self._schema = pa.schema([(name, arrow[kind]) for name, kind in self._types.items()])
        self._file = _Passing()
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._rows: list[Any] = []

    def begin(self) -> bytes:
        """Return the first bytes of the file."""
        return self._file.take()

    def add(self, rows: Sequence[Any]) -> bytes:
        """Keep the rows until a row group is full; return the bytes of a full group."""
        self._rows += rows
        if len(self._rows) >= ROWS_IN_A_GROUP:
            self._write_group()
        return self._file.take()

    def end(self) -> bytes:
        """Return the last group and the end of the file."""
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._file.take()

    def _write_group(self) -> None:
        import pyarrow as pa

        rows, self._rows = self._rows, []
        self._writer.write_table(self._table(rows, pa), row_group_size=len(rows))

    def _table(self, rows: Sequence[Any], arrow: Any) -> "pa.Table":
        columns = {
            name: [_value(getattr(row, name), kind) for row in rows]
            for name, kind in self._types.items()
        }
        return arrow.table(columns, self._schema)


class _Passing(io.RawIOBase):
    """A file that keeps written bytes only until `take` returns them."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Any) -> int:
        self._kept.append(bytes(data))
        self._length += len(data)
        return len(data)

    def take(self) -> bytes:
        """Return the bytes that were written since the last call, and forget these bytes."""
        taken, self._kept = b"".join(self._kept), []
        return taken


def _kind_of(hint: Any) -> type[Any]:
    """Return the kind of a Parquet column: int, float, bool, datetime, or else str."""
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [kind for kind in choices if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 and kinds[0] in (int, float, bool, datetime) else str


def _value(value: Any, kind: type[Any]) -> Any:
    if value is None:
        return None
    if kind is not str:
        return value
    shown = plain(value)
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()
