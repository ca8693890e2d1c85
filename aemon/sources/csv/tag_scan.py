"""Reads the values of one tag from its file."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import numpy as np
import pandas as pd

from aemon.frame import Roles
from aemon.sources.csv.csv_text import CsvText
from aemon.sources.csv.places import Place, is_still_there
from aemon.sources.csv.starts import Taken, place_behind
from aemon.sources.csv.tables import FILE_LINE, Tables
from aemon.sources.csv.tags import Tag, Times, Values, rounded_down
from aemon.sources.file_systems.opening import FilePath
from aemon.times.event_times import EARLIEST

_LINES_AT_ONCE = 10_000
_BEGIN = Place(0, 0)


@dataclass(kw_only=True)
class TagScan:
    """One read of the open file of one tag.

    Attributes:
        path: path of the file, for messages.
        name: name of the file.
        text: the open file.
        tables: converts lines to tables.
        tag: the state of the file between two reads.
        step: times are rounded down to a multiple of the step; None: times stay as they are.
        latest: a time later than this counts as an error.
    """

    path: FilePath
    name: str
    text: CsvText
    tables: Tables
    tag: Tag
    step: timedelta | None
    latest: np.datetime64
    _ahead: int = 0
    _unread: list[tuple[int, str, str]] = field(default_factory=list)
    _warnings: list[str] = field(default_factory=list)

    def values(self, since: np.datetime64 | None, limit: int, *, continues: bool) -> Values:
        """Return the values after a time; stop reading after more than `limit` different times.

        Args:
            since: the time; None reads from the beginning.
            limit: the number of different times after which reading stops.
            continues: whether this read continues the previous read; lines before `Tag.read_to` are
                then known.
        """
        start = self._start(since)
        read_to = self.tag.read_to if continues and start is not None else None
        tables: list[pd.DataFrame] = []
        late: list[np.datetime64] = []
        count, place, before, until = 0, start, since is not None, None
        first_byte = (
            read_to if read_to is not None else (0 if since is None else None)
        )  # where new lines begin
        for block, times, table in self._blocks(start):
            new = ~np.isnat(times) if since is None else times > since
            first_new = int(np.argmax(new)) if new.any() else len(block)
            if before and first_new:
                place = place_behind(self.text.file, place or _BEGIN, block[:first_new], None)
            before = before and first_new == len(block)
            if first_byte is None and first_new < len(block):
                first_byte = block[first_new][1].start
            if read_to is not None:
                late += _late(block, times, ~new, read_to)
            tables.append(table[new].set_axis(times[new]))
            count += len(np.unique(times[new]))
            self.tag.read_to = block[-1][1].end
            self._came_to(times)
            if count > limit:
                until = times[new].max()
                break
        if since is not None:
            self.tag.place, self.tag.until = place, since
        return Values(
            table=self._by_time(tables),
            until=until,
            unread=tuple(
                (key, text)
                for at, key, text in self._unread
                if first_byte is not None and at >= first_byte
            ),
            ahead=self._ahead,
            late=tuple(late),
            warnings=tuple(self._warnings),
        )

    def newest(self, keep: int, until: np.datetime64 | None) -> Values:
        """Return at least the `keep` newest values up to a time; all values if there are fewer."""
        tables: deque[pd.DataFrame] = deque()
        for _, times, table in self._blocks(None):
            good = ~np.isnat(times) if until is None else times <= until
            tables.append(table[good].set_axis(times[good]))
            self._came_to(times)
            while len(tables) > 1 and sum(map(len, tables)) - len(tables[0]) > keep:
                tables.popleft()
        return Values(table=self._by_time([*tables]))

    def _start(self, since: np.datetime64 | None) -> Place | None:
        """Return a place before all lines later than `since`; None: read from the first line."""
        tag = self.tag
        if since is None or tag.place is None or tag.until is None or tag.until > since:
            return None
        return tag.place if is_still_there(self.text.file, tag.place) else None

    def _blocks(self, start: Place | None) -> Iterator[tuple[Taken, Times, pd.DataFrame]]:
        """Yield lines, their times (NaT: not a usable time), and their value columns."""
        roles = self.tables.roles
        records = self.text.records(start)
        while block := list(islice(records, _LINES_AT_ONCE)):
            done = 0
            made, warnings = self.tables.make(self.path, start or _BEGIN, self.name, block)
            self._warnings += warnings
            for table in made:
                lines = block[done : done + len(table)]
                done += len(table)
                times = roles.times_of(table[roles.time]).astype("datetime64[us]")
                unread = np.isnat(times) | (times < EARLIEST)
                ahead = ~unread & (times > self.latest)
                self._ahead += int(ahead.sum())
                self._unread += [
                    (
                        lines[row][1].start,
                        str(table[FILE_LINE].iloc[row]),
                        _shown(table, roles, row),
                    )
                    for row in np.flatnonzero(unread).tolist()
                ]
                times[unread | ahead] = np.datetime64("NaT")
                values = table.drop(columns=[roles.time, FILE_LINE])
                yield lines, rounded_down(times, self.step), values

    def _came_to(self, times: Times) -> None:
        good = times[~np.isnat(times)]
        if len(good):
            self.tag.came_to(good.max())

    def _by_time(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        """Return the values by time; of several values at one time, the last value counts."""
        header, roles = self.text.header, self.tables.required
        columns = [name for name in header.columns if name not in roles] if header else []
        columns = [*dict.fromkeys([*columns, *(name for one in tables for name in one.columns)])]
        some = [table for table in tables if len(table)]
        found = pd.concat(some) if some else pd.DataFrame(columns=columns, dtype="float64")
        found.index = pd.DatetimeIndex(found.index.to_numpy().astype("datetime64[us]"))
        return found.reindex(columns=columns)[~found.index.duplicated(keep="last")]


def _late(block: Taken, times: Times, old: np.ndarray, read_to: int) -> list[np.datetime64]:
    """Return the times of newly read lines whose records were already handed over."""
    rows = np.flatnonzero(old & ~np.isnat(times)).tolist()
    return [times[row] for row in rows if block[row][1].start >= read_to]


def _shown(table: pd.DataFrame, roles: Roles, row: int) -> str:
    """Return the text of a row's time; empty if the cell is missing."""
    value = table[roles.time].iloc[row]
    return value if isinstance(value, str) else ""
