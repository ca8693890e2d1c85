"""Converts raw database values with their types to JSON and back, for comparisons in SQL."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import printable
from aemon.records import Watermark

# Entries of a position in addition to time, key and entity:
NEWEST_KEY = "newest_key"  # the largest integer key read
MISSING = "missing"  # keys below the newest key that were never read; see `missing_keys`
UNORDERED = "unordered"  # keys are integers, but not a sequence
GIVEN_UP = "given_up"  # how many missing keys are no longer looked for
RELOADED = "reloaded"  # the table was loaded again: rows up to the watermark's time count as read
_LONGEST_SHOWN = 60
_PLAIN = (MISSING, UNORDERED, RELOADED)  # kept as plain JSON

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
    """Return the name of a raw value's type, and the value in a form that JSON can hold.

    >>> write_value("2020-03-09 10:14:33")
    ['text', '2020-03-09 10:14:33']

    Raises:
        TypeError: values of this type cannot order records.
    """
    kind = _KINDS.get(type(value))
    if kind is None:
        raise TypeError(f"values of the type {type(value).__name__} cannot order records")
    name, write, _ = kind
    return [name, write(value)]


def read_value(written: list[Any]) -> Any:
    """Return the raw value that `write_value` wrote."""
    name, value = written
    return _READERS[name](value)


def position_of(mark: Watermark | None) -> dict[str, Any]:
    """Return the raw values of a watermark's position; empty if the position is empty.

    Raises:
        SourceConfigError: aemon did not write the position.
    """
    if mark is None or not mark.position:
        return {}
    try:
        written = json.loads(mark.position).items()
        found = {role: raw if role in _PLAIN else read_value(raw) for role, raw in written}
        found["time"], found["key"]
        _check_keys(found)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise SourceConfigError(
            f"the position of the watermark cannot be read: watermarks.position is "
            f"{printable(mark.position)[:_LONGEST_SHOWN]!r}",
            todo="delete the monitor's row of `watermarks`: all records are then read again, and "
            "no record is judged twice",
        ) from None
    return found


def _check_keys(found: Mapping[str, Any]) -> None:
    """Raise an error if values of a position do not describe keys.

    Raises:
        TypeError: a value is not a number, or not the text of a time.
        ValueError: a range of missing keys does not have three parts.
    """
    numbers = [found.get(NEWEST_KEY), found.get(GIVEN_UP)]
    for low, high, noticed in found.get(MISSING) or ():
        numbers += [low, high]
        if not isinstance(noticed, str):
            raise TypeError
    if not all(isinstance(number, int | None) for number in numbers):
        raise TypeError


def keys_given_up(mark: Watermark | None) -> int:
    """Return how many missing keys were given up so far.

    Raises:
        SourceConfigError: aemon did not write the position.
    """
    found = position_of(mark).get(GIVEN_UP, 0)
    return found if isinstance(found, int) else 0


def newest_key_of(keys: pd.Series, before: int | None) -> int | None:
    """Return the largest key read so far; `before` if the given keys are not integers."""
    if not len(keys) or not pd.api.types.is_integer_dtype(keys):
        return before
    newest = int(keys.max())
    return newest if before is None else max(newest, before)


def whole(keys: pd.Series) -> list[int]:
    """Return keys as integers; an empty list if some keys are not integers."""
    return [int(key) for key in keys] if pd.api.types.is_integer_dtype(keys) else []
