"""A Prometheus into which a test writes samples of any time, as remote write does."""

import struct
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.prometheus import Prometheus, prometheus

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The NaN that ends a series."""

Sample = tuple[float, float]
"""Seconds since 1970, and the value."""


@contextmanager
def written_prometheus(
    folder: Path, *, lookback: str = "5m", options=(), tls=False
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes nothing, and takes samples by `write`, also old ones."""
    flags = ["--web.enable-remote-write-receiver", f"--query.lookback-delta={lookback}", *options]
    storage = {"storage": {"tsdb": {"out_of_order_time_window": "3650d"}}}
    retention = (
        []
        if any("retention" in one for one in options)
        else ["--storage.tsdb.retention.time=3650d"]
    )
    with prometheus(folder, [], options=[*flags, *retention], more=storage, tls=tls) as running:
        yield running


def write(url: str, series: Iterable[tuple[Mapping[str, str], Iterable[Sample]]]) -> None:
    """Write series, each with its labels (`__name__` among them) and samples."""
    body = encoded(series)
    request = urllib.request.Request(
        f"{url}/api/v1/write",
        data=_snappy(body),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 204


def encoded(series: Iterable[tuple[Mapping[str, str], Iterable[Sample]]]) -> bytes:
    """A WriteRequest with these series."""
    return b"".join(_field(1, _series(labels, samples)) for labels, samples in series)


def _series(labels: Mapping[str, str], samples: Iterable[Sample]) -> bytes:
    told = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(labels.items())
    )
    return told + b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(moment * 1000)))
        for moment, value in samples
    )


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def _snappy(content: bytes) -> bytes:
    """The block format, of literals alone."""
    pieces = [content[place : place + 60_000] for place in range(0, len(content), 60_000)]
    return _varint(len(content)) + b"".join(
        b"\xf4" + struct.pack("<H", len(piece) - 1) + piece for piece in pieces
    )
