"""A growing CSV file as numbered lines, and places in it that can be found again."""

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pandas as pd

_TAIL_BYTES = 256  # before a place: enough to tell whether the file is still the same
_BLOCK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
# What a missing number looks like; the texts pandas knows, less the words people use in earnest.
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>")


class Place(NamedTuple):
    """How far a file has been read: always to the end of a line.

    `tail` is the checksum of the bytes just before; `generation` counts how often the file
    was found truncated or replaced.
    """

    bytes: int
    lines: int
    tail: int = 0
    generation: int = 0


class Line(NamedTuple):
    """One line without its end; `end` is the byte after it."""

    number: int
    text: bytes
    end: int


class Header(NamedTuple):
    """The column names, and the place where records begin."""

    columns: tuple[str, ...]
    place: Place


def read_lines(file: BinaryIO, start: Place) -> Iterator[Line]:
    """The complete lines after a place that are not blank; a line still being written is left."""
    file.seek(start.bytes)
    number, end = start.lines, start.bytes
    for raw in file:
        if not raw.endswith(b"\n"):
            return
        number += 1
        end += len(raw)
        text = raw.rstrip(b"\r\n")
        if text.strip():
            yield Line(number, text, end)


def read_header(file: BinaryIO, separator: str) -> Header | None:
    """The first line that is not blank; None while it is not complete."""
    first = next(read_lines(file, Place(0, 0)), None)
    if first is None:
        return None
    text = first.text.removeprefix(_BOM).decode("utf-8", errors="replace")
    names = next(csv.reader([text], delimiter=separator))
    columns = (name.strip() or f"column_{index}" for index, name in enumerate(names, 1))
    return Header(tuple(columns), Place(first.end, first.number))


def place_at(file: BinaryIO, end: int, lines: int, generation: int = 0) -> Place:
    """A place that `is_still_there` can recognise."""
    return Place(end, lines, _tail(file, end), generation)


def is_still_there(file: BinaryIO, place: Place) -> bool:
    """Whether a file is the one the place was taken from, longer or not."""
    return file.seek(0, io.SEEK_END) >= place.bytes and _tail(file, place.bytes) == place.tail


def last_place(file: BinaryIO) -> Place:
    """The end of the last complete line, found without holding the file in memory."""
    file.seek(0)
    lines = read = end = 0
    while block := file.read(_BLOCK_BYTES):
        lines += block.count(b"\n")
        last = block.rfind(b"\n")
        if last >= 0:
            end = read + last + 1
        read += len(block)
    return place_at(file, end, lines)


def parse(
    lines: Sequence[Line], columns: Sequence[str], separator: str, as_text: Sequence[str]
) -> tuple[pd.DataFrame, list[int]]:
    """A table with one row a line, and the numbers of the lines that do not fit the header.

    A line with too many or too few fields, or with a quote that does not close (a line break
    inside quotes is not read), becomes a row of missing values. Columns `as_text` stay text.
    """
    mark = separator.encode()
    empty = mark * (len(columns) - 1)
    malformed = [line.number for line in lines if not _fits(line.text, mark, len(columns))]
    refused = set(malformed)
    rows = [empty if line.number in refused else line.text for line in lines]
    table = pd.read_csv(
        io.BytesIO(b"\n".join([*rows, b""])),
        sep=separator,
        header=None,
        names=list(columns),
        index_col=False,
        dtype=dict.fromkeys(as_text, str),
        keep_default_na=False,
        na_values={name: [""] if name in as_text else list(_MISSING) for name in columns},
        skip_blank_lines=False,
        lineterminator="\n",
        low_memory=False,
        encoding_errors="replace",
    )
    return table, malformed


def _fits(text: bytes, mark: bytes, width: int) -> bool:
    if b'"' not in text:
        return text.count(mark) == width - 1
    try:
        line = text.decode("utf-8", errors="replace")
        fields = next(csv.reader([line], delimiter=mark.decode(), strict=True))
    except csv.Error:
        return False
    return len(fields) == width


def _tail(file: BinaryIO, end: int) -> int:
    start = max(end - _TAIL_BYTES, 0)
    file.seek(start)
    return zlib.crc32(file.read(end - start))
