"""Records from a CSV file that grows, or from a folder of such files."""

import logging
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from math import ceil

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.csv.csv_text import CsvText, Dialect
from aemon.sources.csv.distinct_files import (
    MOST_COMPARED,
    RECORDS_COMPARED,
    Sample,
    check_apart,
    sample_of,
)
from aemon.sources.csv.files import find_files
from aemon.sources.csv.header import Header
from aemon.sources.csv.lines import Line
from aemon.sources.csv.moved_files import holds_place, locate
from aemon.sources.csv.packing import IncompleteError, open_plain
from aemon.sources.csv.places import (
    LAST_KEPT,
    Place,
    as_position,
    fingerprint,
    order_in,
    places_in,
)
from aemon.sources.csv.settings import CsvSource, FromPath
from aemon.sources.csv.starts import OpenFile, Starts, Taken, place_behind
from aemon.sources.csv.tables import FILE_LINE, FROM_PATH, Tables, foreign_note
from aemon.sources.file_systems.opening import FilePath, State, close_path, open_path, state_of
from aemon.sources.plausible_times import last_time
from aemon.sources.source import Fetched
from aemon.sources.time_writing import Writing, dates_alone, writing_of

_log = logging.getLogger(__name__)
_BEGIN = Place(0, 0)
_LINES_AT_ONCE = 10_000


class CsvFiles:
    """A source of CSV files: reads file by file in the order of names, and line by line.

    Each file has its own header; the table of a folder has the columns of all files. For each file,
    a watermark holds the number of read bytes and lines, so a file may grow while aemon reads the
    file. Every complete line is one record. A last line without a line end is still being written;
    a later read returns this line. A line that does not fit its header becomes a record without
    values, which the frame rejects. aemon finds a renamed file by its content, and continues after
    the last read record. In a replaced file, reading continues after the newest known record; if
    the file holds no known record, reading starts at the first line.
    """

    in_order_of_arrival = True

    def __init__(self, settings: CsvSource) -> None:
        separator = settings.separator
        if not separator.isascii():
            raise SourceConfigError("the separator of a CSV source is one ASCII character")
        self._path = open_path(settings)
        self._dialect = Dialect(
            separator=separator,
            own_separator="separator" in settings.model_fields_set,
            encoding=settings.encoding,
            header_line=settings.header_line,
        )
        by_path = settings.entity if isinstance(settings.entity, FromPath) else None
        times = (settings.time,) if isinstance(settings.time, str) else settings.time
        roles = Roles(
            time=" ".join(times),
            key=settings.key or FILE_LINE,
            entity=FROM_PATH if isinstance(settings.entity, FromPath) else settings.entity,
            timezone=settings.timezone,
            time_format=settings.time_format,
        )
        self._writing: Writing | None = None  # written form of times; None: not known yet
        self._keyed = settings.key is not None
        self._by_file = by_path is not None
        self._tables = Tables(roles, times, re.compile(by_path.from_path) if by_path else None)
        # Files of two entities may have the same content.
        self._starts = Starts(self._tables, keyed=self._keyed, knows_copies=not self._by_file)
        self._checked_names: tuple[str, ...] = ()
        self._at_end: dict[FilePath, tuple[State | None, Place]] = {}

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        return self._tables.roles

    def hides(self, _mark: Watermark | None) -> bool:
        """Return False: late records are found, because a watermark holds places, not a time."""
        return False

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is in the form that this source writes."""
        try:
            places_in(mark.position)
        except SourceConfigError:
            return False
        return True

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark (None: from the start), oldest first."""
        self._learn_writing(after)
        files = find_files(self._path)
        located = locate(files, places_in(after.position if after else ""), self._holds)
        read = Reading(places=located.all, warnings=[files.warning])
        left, more = limit, False
        for name, path, share in self._shared(located.order(files)):
            quota = ceil(left * share)
            state = _state(path)
            if self._is_at_end(path, state, located.now.get(name)):
                continue
            with self._open(path, read, alone=len(files.read) == 1) as text:
                if text is None:
                    continue
                file = OpenFile(name=name, path=path, text=text)
                start, warning = self._starts.find(file, files, located, read.places)
                read.warnings.append(warning)
                records = text.records(start if start.bytes else None)
                taken = list(islice(records, quota))
                left -= len(taken)
                rest = len(taken) == quota and next(records, None) is not None
                more |= rest
                if taken:
                    self._add(read, file, start, taken)
            if rest and not self._by_file:
                break
            if name in read.places and not rest:
                self._at_end[path] = state, read.places[name]
        return self._fetched(read, after, more=more)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        self._learn_writing(until)
        files = find_files(self._path)
        located = locate(files, places_in(until.position if until else ""), self._holds)
        read = Reading(warnings=[files.warning])
        left = limit
        for name, path, share in self._shared(located.order(files)[::-1]):
            quota = ceil(left * share)
            end = located.now.get(name)
            if until is not None and (end is None or not quota):
                continue
            with self._open(path, read, alone=len(files.read) == 1) as text:
                if text is None:
                    continue
                records = text.records() if end is None else _between(text.records(), end)
                first = next(records, None)
                if first is None:
                    continue
                newest = [*deque(chain([first], records), maxlen=max(quota, LAST_KEPT))]
                taken = newest[-quota:] if quota else []
                left -= len(taken)
                begin = end or _BEGIN._replace(first=fingerprint(first[1].text))
                tables, warnings = self._tables.make(path, begin, name, taken)
                read.tables[:0] = tables
                read.warnings += warnings
                file = OpenFile(name=name, path=path, text=text)
                read.places[name] = self._behind(file, begin, newest, tables)
        found = self._fetched(read, None, more=False)
        return replace(found, watermark=until or found.watermark)

    def count(self, limit: int) -> int:
        """Return how many records the files hold; stop counting at `limit`."""
        found = 0
        files = find_files(self._path)
        for path in files.read.values():
            with self._open(path, Reading(), alone=len(files.read) == 1) as text:
                if text is not None:
                    found += sum(1 for _ in islice(text.records(), limit - found))
        return found

    def check_apart(self) -> None:
        """Raise an error if the records of several files cannot be distinguished.

        Raises:
            SourceConfigError: files cover the same times, and no entity or key distinguishes them.
        """
        files = find_files(self._path)
        names = tuple(files.read)
        if self.roles.entity is not None or len(names) == 1 or names == self._checked_names:
            return
        samples: list[Sample] = []
        for name, path in islice(files.read.items(), MOST_COMPARED):
            with self._open(path, Reading(), alone=False) as text:
                ends = text.ends(RECORDS_COMPARED) if text is not None else []
            if len(ends) < RECORDS_COMPARED:
                continue
            read = Reading(tables=self._tables.make(path, _BEGIN, name, ends)[0])
            times = self.roles.times_of(self._joined(read)[self.roles.time])
            columns = set(ends[0][0].columns) - set(self._tables.required)
            samples += sample_of(name, columns, times)
        check_apart(samples, keyed=self._keyed)
        if len(samples) == len(names):
            self._checked_names = names

    def describe(self) -> str:
        """Return the kind and the path, without secrets."""
        return f"csv {self._path}"

    def close(self) -> None:
        """Close the connection to a remote file system."""
        close_path(self._path)

    def _learn_writing(self, mark: Watermark | None) -> None:
        """Find the written form of times: from the watermark, or else from the records.

        The order of day and month never changes later, because the records that showed the order
        may be gone.

        Raises:
            SourceConfigError: the order of day and month is ambiguous; or the first read finds only
                dates in the time column, and times of day in another column.
        """
        known = order_in(mark.position) if mark is not None else None
        if self._writing is None and known is not None and self.roles.time_format is None:
            self._writing = Writing(order=known)
        if self._writing is None:
            self._writing = writing_of(self._blocks(), self.roles)
        if self._writing is not None:
            self._tables.roles = replace(self._tables.roles, date_order=self._writing.order)
            if mark is None and self._writing.times_apart is not None:
                raise dates_alone(self.describe(), self.roles.time, self._writing)

    def _blocks(self) -> Iterator[pd.DataFrame]:
        """Yield tables of all records, each with at most `_LINES_AT_ONCE` lines."""
        files = find_files(self._path)
        for name, path in files.read.items():
            with self._open(path, Reading(), alone=len(files.read) == 1) as text:
                records = iter(()) if text is None else text.records()
                while block := list(islice(records, _LINES_AT_ONCE)):
                    yield from self._tables.make(path, _BEGIN, name, block)[0]

    @contextmanager
    def _open(self, path: FilePath, read: "Reading", *, alone: bool) -> Iterator[CsvText | None]:
        """Yield an open file; None if its header is incomplete or the file cannot be unpacked."""
        try:
            with open_plain(path) as (file, packed):
                text = CsvText(path, file, self._dialect, self._tables.required, complete=packed)
                if text.header is not None:
                    self._tables.check(path, text.header, text)
                    read.columns |= dict.fromkeys(text.header.columns)
                yield text if text.header is not None else None
        except IncompleteError as error:
            if alone:
                raise
            _log.warning("%s", error)
            read.warnings.append(str(error))
            yield None

    def _shared(self, order: list[tuple[str, FilePath]]) -> Iterator[tuple[str, FilePath, float]]:
        """Yield each file with the largest share of the remaining records that the file may give.

        The share is 1, which means all. If each file has its own entity, the share is 1
        divided by the number of files left, so that every entity gets records.
        """
        for count, (name, path) in enumerate(order):
            yield name, path, 1 / (len(order) - count) if self._by_file else 1

    def _holds(self, path: FilePath, place: Place) -> bool:
        """Return whether a file still has the bytes that were read before a place."""
        return self._is_at_end(path, _state(path), place) or holds_place(path, place)

    def _is_at_end(self, path: FilePath, state: State | None, place: Place | None) -> bool:
        """Return whether a place is the end of a file that has not changed since the last read."""
        certain = state is None or state.certain
        return certain and self._at_end.get(path) == (state, place)

    def _add(self, read: "Reading", file: OpenFile, start: Place, taken: Taken) -> None:
        """Add the lines taken from a file to `read`, and keep the place after the lines."""
        tables, warnings = self._tables.make(file.path, start, file.name, taken)
        read.tables += tables
        read.warnings += warnings
        read.notes.append(foreign_note(file.path, taken, self._dialect.encoding))
        if not start.bytes:
            start = start._replace(first=fingerprint(taken[0][1].text))
        read.places[file.name] = self._behind(file, start, taken, tables)

    def _behind(
        self, file: OpenFile, start: Place, taken: Taken, tables: Sequence[pd.DataFrame]
    ) -> Place:
        time = self._tables.time(tables[-1]) if tables else None
        return place_behind(file.text.file, start, taken, time)

    def _fetched(self, read: "Reading", given: Watermark | None, *, more: bool) -> Fetched:
        """Return the collected records with a new watermark, or with `given` if there are none."""
        table = self._joined(read)
        mark, times = given, None
        if len(table):
            times = self.roles.times_of(table[self.roles.time])
            event_time = last_time(times)
            key = table[self._tables.roles.key].iloc[-1]
            mark = Watermark(
                event_time=event_time or (given.event_time if given else None),
                record_key=key if isinstance(key, str) else "",
                position=as_position(read.places, self._tables.roles.date_order),
            )
        texts = [*read.warnings, *(read.notes if given is None else ())]
        warnings = tuple(dict.fromkeys(filter(None, texts)))
        return Fetched(table=table, watermark=mark, more=more, warnings=warnings, times=times)

    def _joined(self, read: "Reading") -> pd.DataFrame:
        if len(read.tables) > 1:
            return pd.concat(read.tables, ignore_index=True)
        return read.tables[0] if read.tables else self._tables.empty(list(read.columns))


@dataclass(kw_only=True)
class Reading:
    """The results of one read, collected file by file."""

    places: dict[str, Place] = field(default_factory=dict)
    tables: list[pd.DataFrame] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # reported at the first read only


def _between(records: Iterator[tuple[Header, Line]], end: Place) -> Iterator[tuple[Header, Line]]:
    """Yield the records of a file up to a place, without records copied from another file."""
    for header, line in records:
        if line.end > end.bytes:
            return
        if line.start >= end.begin:
            yield header, line


def _state(path: FilePath) -> State | None:
    """Return the state of a file (size, time, tag); None if the state cannot be read."""
    try:
        return state_of(path)
    except OSError:
        return None
