"""Records from a CSV file that grows, or from a folder of them."""

import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from aemon.config.source_settings import CsvSource
from aemon.errors import SourceConfigError, SourceError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.csv.lines import (
    Header,
    Line,
    Place,
    is_still_there,
    last_place,
    parse,
    place_at,
    read_header,
    read_lines,
)
from aemon.sources.plausible_times import last_time
from aemon.sources.source import Fetched, there

_FILE_LINE = "file:line"  # the key's column where the files have none
_log = logging.getLogger(__name__)


class CsvFiles:
    """CSV files, read in name order and within a file in the order of their lines.

    Each file has its own header; a folder's table has the columns of all. A watermark holds how
    many bytes and lines of each file have been read, so that files may grow while they are read,
    and every complete line is one record. A last line without a line end is still being written
    and is left for later. A line that does not fit its header becomes a record without values,
    which the frame rejects; the log names its file and line. A file that became shorter or was
    replaced is read anew from its beginning, with a warning.
    """

    in_order_of_arrival = True

    def __init__(self, settings: CsvSource) -> None:
        if not settings.separator.isascii():
            raise SourceConfigError("the separator of a CSV source is one ASCII character")
        self._path = settings.path
        self._separator = settings.separator
        self._roles = Roles(
            time=settings.time,
            key=settings.key or _FILE_LINE,
            entity=settings.entity,
            timezone=settings.timezone,
        )
        self._own_keys = settings.key is None

    @property
    def roles(self) -> Roles:
        """Which columns identify a record."""
        return self._roles

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """At most `limit` records after a watermark, oldest first; None reads from the beginning."""
        places = _places(after)
        tables: list[pd.DataFrame] = []
        columns: dict[str, None] = {}
        left, more = limit, False
        for path in self._files():
            with self._open(path) as (file, header):
                if header is None:
                    continue
                columns |= dict.fromkeys(header.columns)
                start = self._start(path, file, header, places.get(path.name))
                lines = read_lines(file, start)
                taken = list(islice(lines, left))
                left -= len(taken)
                more = not left and next(lines, None) is not None
                if taken:
                    tables.append(self._table(path, header, taken, start.generation))
                    last = taken[-1]
                    places[path.name] = place_at(file, last.end, last.number, start.generation)
            if more:
                break
        table = self._join(tables, columns)
        return Fetched(table=table, watermark=self._mark(table, places, after), more=more)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest `limit` records up to a watermark (None: up to now), oldest first."""
        known = _places(until)
        ends: dict[str, Place] = {}
        tables: list[pd.DataFrame] = []
        columns: dict[str, None] = {}
        left = limit
        for path in reversed(self._files()):
            with self._open(path) as (file, header):
                if header is None:
                    continue
                columns = dict.fromkeys(header.columns) | columns
                end = known.get(path.name) if until else last_place(file)
                if end is None or not is_still_there(file, end):
                    continue
                ends[path.name] = end
                if not left:
                    continue
                lines = (line for line in read_lines(file, header.place) if line.end <= end.bytes)
                taken = deque(lines, maxlen=left)
                left -= len(taken)
                if taken:
                    tables.insert(0, self._table(path, header, taken, end.generation))
        table = self._join(tables, columns)
        watermark = until or self._mark(table, ends, None)
        return Fetched(table=table, watermark=watermark, more=False)

    def count(self, limit: int) -> int:
        """How many records there are in all, counted no further than `limit`."""
        found = 0
        for path in self._files():
            with self._open(path) as (file, header):
                if header is not None:
                    lines = islice(read_lines(file, header.place), limit - found)
                    found += sum(1 for _ in lines)
        return found

    def describe(self) -> str:
        """The file or folder."""
        return f"csv {self._path}"

    def close(self) -> None:
        """Nothing stays open between reads."""

    def _files(self) -> list[Path]:
        if self._path.is_dir():
            return sorted(path for path in self._path.glob("*.csv") if path.is_file())
        if self._path.exists():
            return [self._path]
        raise SourceError(
            f"{self._path}: no such file or folder",
            todo="it may still come; a relative path starts at the folder aemon was started in",
        )

    @contextmanager
    def _open(self, path: Path) -> Iterator[tuple[BinaryIO, Header | None]]:
        try:
            with path.open("rb") as file:
                header = read_header(file, self._separator)
                if header is not None:
                    self._check(path, header.columns)
                yield file, header
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None

    def _check(self, path: Path, columns: Sequence[str]) -> None:
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise SourceConfigError(
                f"{path}: more than one column {', '.join(map(repr, twice))}",
                todo="give every column its own name",
            )
        for wanted in self._wanted():
            if wanted not in columns:
                raise SourceConfigError(
                    f"{path}: no column {wanted!r}",
                    todo=f"{there(columns, wanted)}; the separator is {self._separator!r}",
                )

    def _wanted(self) -> list[str]:
        own = None if self._own_keys else self._roles.key
        return [name for name in (self._roles.time, own, self._roles.entity) if name]

    def _start(self, path: Path, file: BinaryIO, header: Header, place: Place | None) -> Place:
        if place is None:
            return header.place
        if is_still_there(file, place):
            return place
        _log.warning("%s was truncated or replaced; it is read anew from its beginning", path)
        return header.place._replace(generation=place.generation + 1)

    def _table(
        self, path: Path, header: Header, lines: Sequence[Line], generation: int
    ) -> pd.DataFrame:
        table, malformed = parse(lines, header.columns, self._separator, self._wanted())
        if malformed:
            _log.warning(
                "%s:%d: %d fields are expected, or a quote is not closed; %d such lines rejected",
                path,
                malformed[0],
                len(header.columns),
                len(malformed),
            )
        if self._own_keys:
            # A replaced file has the same line numbers for other records.
            name = f"{path.name}#{generation}" if generation else path.name
            table[_FILE_LINE] = pd.Series([f"{name}:{line.number}" for line in lines], dtype="str")
        return table

    def _join(self, tables: list[pd.DataFrame], columns: dict[str, None]) -> pd.DataFrame:
        if len(tables) > 1:
            return pd.concat(tables, ignore_index=True)
        if tables:
            return tables[0]
        own = [_FILE_LINE] if self._own_keys else []
        return pd.DataFrame(columns=[*(columns or self._wanted()), *own])

    def _mark(
        self, table: pd.DataFrame, places: dict[str, Place], given: Watermark | None
    ) -> Watermark | None:
        if table.empty:
            return given
        event_time = last_time(table[self._roles.time], self._roles.timezone)
        key = table[self._roles.key].iloc[-1]
        return Watermark(
            event_time=event_time or (given.event_time if given else None),
            record_key=key if isinstance(key, str) else "",
            position=json.dumps(places),
        )


def _places(mark: Watermark | None) -> dict[str, Place]:
    if mark is None or not mark.position:
        return {}
    return {name: Place(*place) for name, place in json.loads(mark.position).items()}
