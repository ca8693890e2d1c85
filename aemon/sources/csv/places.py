"""Places in growing files that can be found again, also when a file was renamed or replaced."""

import io
import json
import zlib
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

from aemon.errors import SourceConfigError
from aemon.frame import printable

_TAIL_BYTES = 256  # before a place: enough to tell whether the file is still the same
HEAD_BYTES = 512
LAST_KEPT = 5
"""So many of the newest records are kept in mind: the last may have been corrected since."""

MOST_KEPT_WHOLE = 200
"""Of so many files the fingerprints of records are kept: a position stays small."""


_ORDER = "/order"
"""Beside the files of a position, none of which begins so: the order of day and month in dates."""

_ORDERS = frozenset({"dmy", "mdy", "ymd"})


class Place(NamedTuple):
    """How far a file has been read: always to the end of a record.

    `tail` and `head` are checksums of the bytes just before, and of the first ones; `generation`
    counts how often the file was found truncated or replaced; `header` is where the line of column
    names in force begins (-1: not known); `name` is the file's name when it was first read (empty:
    the same); `first` and `last` are fingerprints of its first record and of the newest ones;
    each with its number; `time` is the newest record's event time in seconds since 1970; `shift` is
    by how much the numbers of records exceed those of their lines, for lines were cut off above;
    `begin` is the byte where its own records begin, after those copied from another file.
    """

    bytes: int
    lines: int
    tail: int = 0
    generation: int = 0
    header: int = -1
    name: str = ""
    head: int = 0
    first: str = ""
    last: tuple[tuple[int, str], ...] = ()
    time: float | None = None
    shift: int = 0
    begin: int = 0


_TYPES = (int, int, int, int, int, str, int, str, tuple, float | int | None, int, int)
"""Of a place's fields."""


def fingerprint(text: bytes) -> str:
    """Return what tells a record's text from others."""
    return blake2b(text.rstrip(), digest_size=6).hexdigest()


def checked(file: BinaryIO, place: Place) -> Place:
    """Return the place with the checksums by which `is_still_there` recognises it."""
    return place._replace(tail=tail_of(file, place.bytes), head=head_of(file, place.bytes))


def is_still_there(file: BinaryIO, place: Place) -> bool:
    """Return whether a file is the one the place was taken from, longer or not."""
    if file.seek(0, io.SEEK_END) < place.bytes or tail_of(file, place.bytes) != place.tail:
        return False
    return not place.head or head_of(file, place.bytes) == place.head


def tail_of(file: BinaryIO, end: int) -> int:
    """Return the checksum of the bytes before a place."""
    start = max(end - _TAIL_BYTES, 0)
    file.seek(start)
    return zlib.crc32(file.read(end - start))


def head_of(file: BinaryIO, end: int) -> int:
    """Return the checksum of the first bytes, as far as they lie before a place."""
    file.seek(0)
    return zlib.crc32(file.read(min(end, HEAD_BYTES)))


def as_position(places: Mapping[str, Place], order: str | None = None) -> str:
    """Return the places by file as a watermark keeps them, with the order of day and month.

    Of very many files only those with the newest records keep what finds them when replaced.
    """
    by_time = sorted(places, key=lambda name: places[name].time or 0.0, reverse=True)
    old = set(by_time[MOST_KEPT_WHOLE:])
    found: dict[str, Place | str] = {
        name: place._replace(first="", last=()) if name in old else place
        for name, place in places.items()
    }
    return json.dumps(found if order is None else {**found, _ORDER: order})


def order_in(position: str) -> str | None:
    """Return the order of day and month that a watermark keeps; None if none."""
    try:
        found = json.loads(position or "{}").get(_ORDER)
    except (AttributeError, RecursionError, ValueError):
        return None  # `places_in` tells
    return found if isinstance(found, str) and found in _ORDERS else None


def places_in(position: str) -> dict[str, Place]:
    """Return the places of a watermark by file; those of older versions know less.

    Raises:
        SourceConfigError: aemon did not write them.
    """
    if not position:
        return {}
    try:
        written = json.loads(position).items()
        return {name: _place_of(fields) for name, fields in written if name != _ORDER}
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise SourceConfigError(
            "the store does not say how far was read: watermarks.position is "
            f"{printable(position)[:60]!r}",
            todo="delete the monitor's row of `watermarks`: all records are then read again, and "
            "none is judged twice",
        ) from None


def _place_of(fields: list[Any]) -> Place:
    """Return a place from what JSON keeps of it.

    Raises:
        TypeError: it is none.
        ValueError: it is none.
    """
    place = Place(*fields)
    place = place._replace(last=tuple((at, mark) for at, mark in place.last))
    if not all(map(isinstance, place, _TYPES)) or place.bytes < 0:
        raise TypeError
    if not all(isinstance(at, int) and isinstance(mark, str) for at, mark in place.last):
        raise TypeError
    return place
