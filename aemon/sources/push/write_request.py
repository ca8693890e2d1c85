"""Decoding of the protobuf message of Prometheus remote write 1.0: series, labels and samples.

https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aemon.sources.push.batches import UnreadableBodyError

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types
_MOST_VARINT_BITS = 63  # shift of the last group of seven bits: a varint has at most ten bytes
_WHOLE = 2**64
_DOUBLE = struct.Struct("<d")

_Field = tuple[int, int, int, int]
"""Number and wire type of a field, and begin and end of its content; for a varint, value and 0."""


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of a request.

    Attributes:
        labels: undecoded labels, as sent; a sender sends the same bytes for the same series.
        samples: (milliseconds since 1970, value) of each sample, in the order of the request.
        histograms: number of native histograms in the series; their values are not decoded.
    """

    labels: tuple[bytes, ...]
    samples: list[tuple[int, float]]
    histograms: int


def decode_request(body: bytes) -> list[Series]:
    """Return the series of a WriteRequest; metadata and exemplars are skipped.

    Raises:
        UnreadableBodyError: the body is not a WriteRequest.
    """
    return [
        _series(body, begin, end)
        for number, kind, begin, end in _fields(body, 0, len(body))
        if (number, kind) == (1, _BYTES)
    ]


def decode_label(label: bytes) -> tuple[str, str]:
    """Return the name and the value of a label.

    Raises:
        UnreadableBodyError: the bytes are not a Label, or not UTF-8.
    """
    texts = {1: b"", 2: b""}
    for number, kind, begin, end in _fields(label, 0, len(label)):
        if number in texts and kind == _BYTES:
            texts[number] = label[begin:end]
    try:
        return texts[1].decode(), texts[2].decode()
    except UnicodeDecodeError:
        raise UnreadableBodyError(f"the label {texts[1][:40]!r} is not text in UTF-8") from None


def _series(body: bytes, begin: int, end: int) -> Series:
    labels: list[bytes] = []
    samples: list[tuple[int, float]] = []
    histograms = 0
    for number, kind, at, to in _fields(body, begin, end):
        if kind != _BYTES:
            continue
        if number == 1:
            labels.append(body[at:to])
        elif number == 2:  # noqa: PLR2004 -- numbers of the specification
            samples.append(_sample(body, at, to))
        elif number == 4:  # noqa: PLR2004
            histograms += 1
    return Series(tuple(labels), samples, histograms)


def _sample(body: bytes, begin: int, end: int) -> tuple[int, float]:
    value, moment = 0.0, 0
    for number, kind, at, _ in _fields(body, begin, end):
        if (number, kind) == (1, _EIGHT_BYTES):
            (value,) = _DOUBLE.unpack_from(body, at)
        elif (number, kind) == (2, _VARINT):
            moment = at - _WHOLE if at >= _WHOLE // 2 else at
    return moment, value


def _fields(body: bytes, at: int, end: int) -> Iterator[_Field]:
    """Yield the fields between two positions of a body.

    Raises:
        UnreadableBodyError: a field is longer than its message, or its type is unknown.
    """
    while at < end:
        begun = at
        tag, at = _varint(body, at, end)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _varint(body, at, end)
            yield tag >> 3, kind, number, 0
            continue
        if kind == _BYTES:
            length, at = _varint(body, at, end)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise UnreadableBodyError(f"byte {begun}: not protobuf: a field of the type {kind}")
        if length > end - at:
            raise UnreadableBodyError(
                f"byte {begun}: not protobuf: a field of {length} bytes is longer than its message"
            )
        yield tag >> 3, kind, at, at + length
        at += length


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number, and the position after the number."""
    number, bits, begun = 0, 0, at
    while at < end and bits <= _MOST_VARINT_BITS:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << bits
        if byte < 0x80:  # noqa: PLR2004 -- the highest bit is set if more bytes follow
            return number % _WHOLE, at
        bits += 7
    raise UnreadableBodyError(f"byte {begun}: not protobuf: a number does not end")
