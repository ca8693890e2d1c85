"""Raw database values as JSON and back, types and all, so that they compare as the database does."""

import base64
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd

from aemon.records import Watermark

NEWEST_KEY = "newest_key"  # in a position, beside the roles: the largest whole-numbered key read

_KINDS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    # type: name, to JSON, from JSON
    bool: ("bool", bool, bool),
    int: ("int", int, int),
    float: ("real", float, float),
    str: ("text", str, str),
    bytes: ("blob", lambda raw: base64.b64encode(raw).decode(), base64.b64decode),
    memoryview: ("blob", lambda raw: base64.b64encode(raw).decode(), base64.b64decode),
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
    type(None): ("null", lambda _none: None, lambda _none: None),
}
_READERS = {name: read for name, _, read in _KINDS.values()}


def write_value(value: object) -> list[Any]:
    """A raw value with the name of its type.

    >>> write_value("2020-03-09 10:14:33")
    ['text', '2020-03-09 10:14:33']

    Raises:
        TypeError: values of this type do not order records.
    """
    kind = _KINDS.get(type(value))
    if kind is None:
        raise TypeError(f"a {type(value).__name__} does not order records")
    name, write, _ = kind
    return [name, write(value)]


def read_value(written: list[Any]) -> Any:
    """The raw value that `write_value` wrote."""
    name, value = written
    return _READERS[name](value)


def position_of(mark: Watermark | None) -> dict[str, Any]:
    """The raw values of a watermark's position; empty where it has none."""
    if mark is None or not mark.position:
        return {}
    return {role: read_value(raw) for role, raw in json.loads(mark.position).items()}


def newest_key_of(keys: pd.Series, before: int | None) -> int | None:
    """The largest key read so far; `before` where these keys are no whole numbers."""
    if not len(keys) or not pd.api.types.is_integer_dtype(keys):
        return before
    newest = int(keys.max())
    return newest if before is None else max(newest, before)
