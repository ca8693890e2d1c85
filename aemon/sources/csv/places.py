"""Places in growing files, with checksums that show whether a file was renamed or replaced."""

import io
import json
import zlib
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

from aemon.errors import SourceConfigError
from aemon.frame import printable

_TAIL_BYTES = 256  # before a place: enough to recognise the file
HEAD_BYTES = 512
LAST_KEPT = 5
"""A place keeps fingerprints of this many newest records.

One is not enough: the last record of a file may be corrected later.
"""

MOST_KEPT_WHOLE = 200
"""A position keeps fingerprints of records for at most this many files; this limits its size."""

_ORDER = "/order"
"""Key of the order of day and month in a position; no name of a file begins with a slash."""

_ORDERS = frozenset({"dmy", "mdy", "ymd"})


class Place(NamedTuple):
    """The place up to which a file has been read: always the end of a record.

    Attributes:
        bytes: the number of bytes before the place.
        lines: the number of the last read line.
        tail: checksum of the bytes just before the place.
        generation: how often the file was found truncated or replaced.
        header: byte where the current header begins; -1: not known.
        name: the file's name when it was first read; empty: unchanged.
        head: checksum of the file's first bytes.
        first: fingerprint of the first record.
        last: number and fingerprint of each of the newest records.
        time: event time of the newest record in seconds since 1970.
        shift: the number of a record minus the number of its line, after lines above were removed;
            else 0.
        begin: byte after the records that were copied from another file; 0: no copied records.
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
"""The types of the fields of a place."""


def fingerprint(text: bytes) -> str:
    """Return a hash that identifies the text of a record."""
    return blake2b(text.rstrip(), digest_size=6).hexdigest()


def checked(file: BinaryIO, place: Place) -> Place:
    """Return a place with checksums of the file, which `is_still_there` compares later."""
    return place._replace(tail=tail_of(file, place.bytes), head=head_of(file, place.bytes))


def is_still_there(file: BinaryIO, place: Place) -> bool:
    """Return whether the checksums of a place still fit a file; the file may have grown."""
    if file.seek(0, io.SEEK_END) < place.bytes or tail_of(file, place.bytes) != place.tail:
        return False
    return not place.head or head_of(file, place.bytes) == place.head


def tail_of(file: BinaryIO, end: int) -> int:
    """Return the checksum of the last `_TAIL_BYTES` bytes before the byte `end`."""
    start = max(end - _TAIL_BYTES, 0)
    file.seek(start)
    return zlib.crc32(file.read(end - start))


def head_of(file: BinaryIO, end: int) -> int:
    """Return the checksum of the first `HEAD_BYTES` bytes, without bytes after the byte `end`."""
    file.seek(0)
    return zlib.crc32(file.read(min(end, HEAD_BYTES)))


def as_position(places: Mapping[str, Place], order: str | None = None) -> str:
    """Return places by file, and the order of day and month, as JSON text for a watermark.

    With more than `MOST_KEPT_WHOLE` files, only the files with the newest records keep
    fingerprints. Fingerprints find the read records in a replaced file.
    """
    by_time = sorted(places, key=lambda name: places[name].time or 0.0, reverse=True)
    old = set(by_time[MOST_KEPT_WHOLE:])
    found: dict[str, Place | str] = {
        name: place._replace(first="", last=()) if name in old else place
        for name, place in places.items()
    }
    return json.dumps(found if order is None else {**found, _ORDER: order})


def order_in(position: str) -> str | None:
    """Return the order of day and month from a position; None if the position has no order."""
    try:
        found = json.loads(position or "{}").get(_ORDER)
    except (AttributeError, RecursionError, ValueError):
        return None  # `places_in` raises the error
    return found if isinstance(found, str) and found in _ORDERS else None


def places_in(position: str) -> dict[str, Place]:
    """Return the place of each file from a position; older versions of aemon wrote fewer fields.

    Raises:
        SourceConfigError: aemon did not write the position.
    """
    if not position:
        return {}
    try:
        written = json.loads(position).items()
        return {name: _place_of(fields) for name, fields in written if name != _ORDER}
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise SourceConfigError(
            "the store does not show how far the files were read: watermarks.position is "
            f"{printable(position)[:60]!r}",
            todo="delete the monitor's row of `watermarks`: all records are then read again, and "
            "no record is judged twice",
        ) from None


def _place_of(fields: list[Any]) -> Place:
    """Return a place from the list of its fields in JSON.

    Raises:
        TypeError: a field has a wrong type or value.
        ValueError: an entry of the newest records is not a pair.
    """
    place = Place(*fields)
    place = place._replace(last=tuple((at, mark) for at, mark in place.last))
    if not all(map(isinstance, place, _TYPES)) or place.bytes < 0:
        raise TypeError
    if not all(isinstance(at, int) and isinstance(mark, str) for at, mark in place.last):
        raise TypeError
    return place
