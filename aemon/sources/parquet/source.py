"""Records from a Parquet file that is replaced by longer files, or from a folder of files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.csv.distinct_files import MOST_COMPARED, RECORDS_COMPARED, sample_of
from aemon.sources.csv.distinct_files import check_apart as check_samples
from aemon.sources.file_systems.opening import FilePath, close_path, open_path
from aemon.sources.parquet.footers import Footer, IncompleteError
from aemon.sources.parquet.many_files import ManyFiles
from aemon.sources.parquet.places import Place, as_position, order_in, places_in
from aemon.sources.parquet.replaced_files import Starts, located
from aemon.sources.parquet.rows import ROWS_AT_ONCE
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.parquet.tables import Tables, joined
from aemon.sources.plausible_times import last_time
from aemon.sources.source import Fetched
from aemon.sources.time_writing import Writing, dates_alone, writing_of

MOST_LOOKED_BACK = 20
"""Without a watermark, `newest` reads at least one record from each of this many last files.

The place of a file keeps the fingerprint of a record, which shows later whether the file was
replaced.
"""


class ParquetFiles:
    """A source of Parquet files: reads file by file in the order of names, and row by row.

    The table of a folder has the columns of all files. For each file, a watermark holds the number
    of read rows and a hash of the content. A file without a footer is still being written and is
    read later. aemon finds a renamed file by its content. In a replaced file, reading continues
    after the last read record; if the file does not hold this record, reading starts at the first
    row.
    """

    in_order_of_arrival = True

    def __init__(self, settings: ParquetSource) -> None:
        self._path = open_path(settings)
        self._tables = Tables(settings)
        self._files = ManyFiles(self._path, self._tables)
        self._starts = Starts(
            keyed=self._tables.keyed, times_of=self._files.times_of, mark_of=self._files.mark_of
        )
        self._writing: Writing | None = None
        self._checked_names: tuple[str, ...] = ()

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
        footers, read = self._look(after)
        known = places_in(after.position if after else "")
        read.places, names = located(footers, known, knows_copies=not self._tables.by_file)
        left, more = limit, False
        for name, share in self._shared(names):
            footer, quota = footers[name], ceil(left * share)
            start = self._start(read, name, footer, read.places)
            if start is None:
                continue
            if name in read.places:
                read.places[name] = start
            count = min(quota, footer.rows - start.rows)
            if count and not self._add(read, name, footer, start, count):
                continue
            left -= count
            rest = start.rows + count < footer.rows
            more |= rest
            if rest and not self._tables.by_file:
                break
        return self._fetched(read, footers, after, more=more)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        footers, read = self._look(until)
        known = places_in(until.position if until else "")
        places, names = located(footers, known, knows_copies=not self._tables.by_file)
        left = limit
        for number, (name, share) in enumerate(self._shared(names[::-1])):
            footer = footers[name]
            end = Place(footer.rows, footer.mark)
            if until is not None:
                if name not in places:
                    continue
                known_end = self._start(read, name, footer, places)
                if known_end is None:
                    continue
                end = known_end
            least = 1 if until is None and number < MOST_LOOKED_BACK else 0
            count = min(max(quota := ceil(left * share), least), end.rows)
            if not count:
                read.places[name] = end
                continue
            before = end._replace(rows=end.rows - count)
            if not self._add(read, name, footer, before, count, continues=False):
                continue
            if not quota:
                read.tables.pop()
                read.times.pop()
            left -= min(quota, count)
        read.tables.reverse()
        read.times.reverse()
        found = self._fetched(read, footers, None, more=False)
        return replace(found, watermark=until or found.watermark)

    def count(self, limit: int) -> int:
        """Return how many records the files hold; stop counting at `limit`."""
        footers, _ = self._look(None, learn=False)
        _, names = located(footers, {}, knows_copies=not self._tables.by_file)
        return min(limit, sum(footers[name].rows for name in names))

    def check_apart(self) -> None:
        """Raise an error if the records of several files cannot be distinguished.

        Raises:
            SourceConfigError: files cover the same times, and no entity or key distinguishes them.
        """
        footers, _ = self._look(None, learn=False)
        _, names = located(footers, {}, knows_copies=True)
        if self.roles.entity or len(names) == 1 or tuple(names) == self._checked_names:
            return
        samples = []
        for name in islice(names, MOST_COMPARED):
            footer = footers[name]
            if footer.rows < RECORDS_COMPARED:
                continue
            ends = (0, footer.rows - RECORDS_COMPARED // 2)
            try:
                times = [self._files.some_times(name, row, RECORDS_COMPARED // 2) for row in ends]
            except IncompleteError as error:
                self._wait_or_raise(error)
                continue
            columns = set(footer.columns) - set(self._tables.required)
            samples += sample_of(name, columns, np.concatenate(times))
        try:
            check_samples(samples, keyed=self._tables.keyed)
        except SourceConfigError as error:
            raise SourceConfigError(
                error.message,
                todo="if each file is of a different thing, take the entity from the file's name "
                "(entity: {from_path: '(.+)\\.parquet'}) or from a column (entity: NAME); if the "
                "files are parts of one table or repeat records, name the column that identifies "
                "a record (key: NAME)",
            ) from None
        self._checked_names = tuple(names)

    def describe(self) -> str:
        """Return the kind and the path, without secrets."""
        return f"parquet {self._path}"

    def close(self) -> None:
        """Close the open file, and the connection to a remote file system."""
        self._files.close()
        close_path(self._path)

    def _look(
        self, mark: Watermark | None, *, learn: bool = True
    ) -> tuple[dict[str, Footer], "Reading"]:
        look = self._files.look()
        if learn:
            self._learn_writing(mark, look.footers)
        return look.footers, Reading(warnings=[*look.warnings], notes=[look.note])

    def _learn_writing(self, mark: Watermark | None, footers: dict[str, Footer]) -> None:
        """Find the written form of text times: from the watermark, or else from the records.

        Raises:
            SourceConfigError: the order of day and month is ambiguous; or the first read finds only
                dates in the time column, and times of day in another column.
        """
        order = order_in(mark.position) if mark is not None else None
        if self._writing is None and order is not None and self.roles.time_format is None:
            self._writing = Writing(order=order)
        if self._writing is None:
            self._writing = writing_of(self._blocks(footers), self.roles)
        if self._writing is not None:
            self._tables.roles = replace(self.roles, date_order=self._writing.order)
            if mark is None and self._writing.times_apart is not None:
                raise dates_alone(self.describe(), self.roles.time, self._writing)

    def _blocks(self, footers: dict[str, Footer]) -> Iterator[pd.DataFrame]:
        for name, footer in footers.items():
            for start in range(0, footer.rows, ROWS_AT_ONCE):
                try:
                    place = Place(start, footer.mark)
                    yield self._files.piece(name, footer, place, ROWS_AT_ONCE)[0]
                except IncompleteError as error:
                    self._wait_or_raise(error)
                    break

    def _shared(self, names: list[str]) -> Iterator[tuple[str, float]]:
        """Yield each file with the largest share of the remaining records that the file may give.

        The share is 1, which means all. If each file has its own entity, the share is 1
        divided by the number of files left, so that every entity gets records.
        """
        for count, name in enumerate(names):
            yield name, 1 / (len(names) - count) if self._tables.by_file else 1

    def _add(
        self,
        read: "Reading",
        name: str,
        footer: Footer,
        start: Place,
        count: int,
        *,
        continues: bool = True,
    ) -> bool:
        """Add `count` rows of a file to `read`; return False if the rows are unreadable at present.

        With `continues`, the file stays open, because the next read begins where this read ends.

        Raises:
            IncompleteError: the rows cannot be read, and there is no other file.
        """
        try:
            table, times = self._files.piece(name, footer, start, count, continues=continues)
        except IncompleteError as error:
            read.warnings.append(self._wait_or_raise(error))
            return False
        read.tables.append(table)
        read.times.append(times)
        read.warnings.append(_out_of_order(self._files.paths[name], times))
        moment = last_time(times)
        read.places[name] = start._replace(
            rows=start.rows + count,
            last=self._tables.fingerprint(table),
            time=start.time if moment is None else moment.timestamp(),
        )
        return True

    def _start(
        self, read: "Reading", name: str, footer: Footer, places: Mapping[str, Place]
    ) -> Place | None:
        """Return the place where reading begins; None if the file cannot be read at present."""
        try:
            start, warning = self._starts.find((name, self._files.paths[name]), footer, places)
        except IncompleteError as error:
            read.warnings.append(self._wait_or_raise(error))
            return None
        read.warnings.append(warning)
        return start

    def _wait_or_raise(self, error: IncompleteError) -> str:
        """Return a warning about a file that cannot be read at present, if there are other files.

        Raises:
            IncompleteError: there is no other file.
        """
        if len(self._files.paths) == 1:
            raise error
        return str(error)

    def _fetched(
        self, read: "Reading", footers: dict[str, Footer], given: Watermark | None, *, more: bool
    ) -> Fetched:
        """Return the collected records with a new watermark, or with `given` if there are none."""
        if any(len(table) for table in read.tables):
            table, times = joined(read.tables), np.concatenate(read.times)
            moment = last_time(times)
            key = table[self.roles.key].iloc[-1]
            mark: Watermark | None = Watermark(
                event_time=moment or (given.event_time if given else None),
                record_key=key if isinstance(key, str) else "",
                position=as_position(read.places, self.roles.date_order),
            )
        else:
            table, times, mark = self._tables.empty(footers), np.empty(0, "datetime64[us]"), given
        texts = [*read.warnings, *(read.notes if given is None else ())]
        warnings = tuple(dict.fromkeys(filter(None, texts)))
        return Fetched(table=table, watermark=mark, more=more, warnings=warnings, times=times)


@dataclass(kw_only=True)
class Reading:
    """The results of one read, collected file by file."""

    places: dict[str, Place] = field(default_factory=dict)
    tables: list[pd.DataFrame] = field(default_factory=list)
    times: list[npt.NDArray[np.datetime64]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # reported at the first read only


def _out_of_order(path: FilePath, times: npt.NDArray[np.datetime64]) -> str:
    """Return a warning if the rows are not in the order of their times; else an empty text."""
    known = times[~np.isnat(times)]
    back = int((np.diff(known) < np.timedelta64(0)).sum()) if len(known) else 0
    if not back:
        return ""
    return (
        f"{path}: {back} of {len(times)} rows are earlier than the row before; rows are read in the "
        "order of the file: write files in the order of time"
    )
