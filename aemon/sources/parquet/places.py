"""The places up to which Parquet files have been read, written to a watermark's position."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from aemon.errors import SourceConfigError
from aemon.frame import printable

MOST_MISSING = 1_000
"""A position keeps the places of at most this many missing files, because a file may come back.

The files with the newest records are kept.
"""

_FILES, _ORDER = "parquet", "order"


class Place(NamedTuple):
    """The place up to which a file has been read.

    Attributes:
        rows: the number of read rows.
        mark: a hash that identifies the content of the file.
        generation: how often the file was replaced by a file without known records.
        name: the file's name when it was first read; empty: unchanged.
        last: fingerprint of the last read record.
        time: event time of the newest record in seconds since 1970.
        shift: the number of a record minus the number of its row, after rows above were removed;
            else 0.
    """

    rows: int
    mark: str = ""
    generation: int = 0
    name: str = ""
    last: str = ""
    time: float | None = None
    shift: int = 0


_TYPES = (int, str, int, str, str, float | int | None, int)
"""The types of the fields of a place."""


def as_position(places: Mapping[str, Place], order: str | None) -> str:
    """Return places by file, and the order of day and month, as JSON text for a watermark."""
    return json.dumps({_FILES: places, **({} if order is None else {_ORDER: order})})


def order_in(position: str) -> str | None:
    """Return the order of day and month from a position; None if the position has no order.

    Raises:
        SourceConfigError: aemon did not write the position.
    """
    order = _read(position).get(_ORDER)
    return order if isinstance(order, str) else None


def places_in(position: str) -> dict[str, Place]:
    """Return the places in a position, by file.

    Raises:
        SourceConfigError: aemon did not write the position.
    """
    try:
        written = _read(position).get(_FILES, {}).items()
        return {name: _place_of(fields) for name, fields in written}
    except (AttributeError, TypeError):
        raise _unknown(position) from None


def _read(position: str) -> dict[str, Any]:
    try:
        found = json.loads(position or "{}")
    except (RecursionError, ValueError):
        raise _unknown(position) from None
    if not isinstance(found, dict) or (found and _FILES not in found):
        raise _unknown(position)
    return found


def _place_of(fields: list[Any]) -> Place:
    place = Place(*fields)
    if not all(map(isinstance, place, _TYPES)) or place.rows < 0:
        raise TypeError
    return place


def _unknown(position: str) -> SourceConfigError:
    return SourceConfigError(
        "the store does not show how far the files were read: watermarks.position is "
        f"{printable(position)[:60]!r}",
        todo="delete the monitor's row of `watermarks`: all records are then read again, and no "
        "record is judged twice",
    )
