"""Conversion of the columns of Parquet files, of all types, to columns of records."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def split_by_type(schema: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a schema's readable columns, and of its unreadable columns.

    Lists, maps and unions hold no single value and cannot be read. Each member of a structure is a
    column: `motor.current`.
    """
    read: list[str] = []
    left_out: list[str] = []
    for field in schema:
        _add(field.name, field.type, read, left_out)
    return tuple(read), tuple(left_out)


def _add(name: str, kind: Any, read: list[str], left_out: list[str]) -> None:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_struct(kind):
        for member in kind:
            _add(f"{name}.{member.name}", member.type, read, left_out)
    elif pa.types.is_nested(kind) or pa.types.is_interval(kind):
        left_out.append(name)
    else:
        read.append(name)


def as_table(arrow: Any, names: Sequence[str], as_text: Sequence[str]) -> pd.DataFrame:
    """Return N records of an Arrow table as a pandas table.

    Args:
        arrow: the table.
        names: the needed columns; columns that the table lacks are left out.
        as_text: columns of identifiers, whose whole numbers become text with all digits.
    """
    while any(pa.types.is_struct(_storage(field.type)) for field in arrow.schema):
        arrow = pa.table(
            [_unwrapped(column) for column in arrow.columns], names=arrow.column_names
        ).flatten()
    needed = [name for name in arrow.column_names if name in set(names)]
    columns = {name: _plain(arrow[name], exact=name in as_text) for name in needed}
    plain = pa.table(list(columns.values()), names=list(columns))
    table: pd.DataFrame = plain.to_pandas(ignore_metadata=True, use_threads=False)
    return table.set_axis(needed, axis=1) if needed else pd.DataFrame(index=range(len(arrow)))


def _storage(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _unwrapped(column: Any) -> Any:
    """Return a column of an extension type in its storage type."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array(
        [chunk.storage for chunk in column.chunks], type=column.type.storage_type
    )


def _plain(column: Any, *, exact: bool) -> Any:
    """Return a column in a type that pandas keeps as numbers, booleans, times or text."""
    column = _unwrapped(column)
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type), exact=exact)
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(column), exact=exact)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit, "UTC"))  # the zone is only for display
    if pa.types.is_fixed_size_binary(kind):
        return _as_text(column, lambda one: one.hex())
    if _is_binary(kind):  # older writers do not mark text as text
        return _as_text(column, lambda one: one.decode("utf-8", "backslashreplace"))
    return _plain_number(column, exact=exact)


def _plain_number(column: Any, *, exact: bool) -> Any:
    """Return a column of a rare number type in a usual type, and any other column unchanged."""
    kind = column.type
    if exact and (pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return column.cast(pa.float64())
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_duration(kind):
        counts = column.cast(pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(counts, float(_UNITS_PER_SECOND[kind.unit]))
    return column


def _is_binary(kind: Any) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or "binary_view" in str(kind)
    )


def _as_text(column: Any, read: Callable[[bytes], str]) -> Any:
    texts = [None if one is None else read(one) for one in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, type=pa.string())])
