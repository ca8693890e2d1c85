"""The values of several files as records: a row for each time, a column for each tag."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.sources.csv.places import Place

Times = npt.NDArray[np.datetime64]

GENERIC_NAMES = frozenset({"value", "values", "val", "v", "y", "reading", "measurement", "wert"})
"""Generic column names: a column with such a name gets the name of its file in records."""

_INSTANT = np.timedelta64(1, "us")
ENDINGS = (".gz", ".bz2", ".xz", ".zip", ".csv", ".txt")


@dataclass(kw_only=True)
class Tag:
    """The state of one file between two reads.

    Attributes:
        place: all lines before this place have times up to `until`.
        until: a time up to which all values were handed over.
        read_to: byte up to which the file was read.
        newest: the newest time in the file.
        lags_since: when a later time was first seen in another file; None: the file does not lag.
    """

    place: Place | None = None
    until: np.datetime64 | None = None
    read_to: int = 0
    newest: np.datetime64 | None = None
    lags_since: datetime | None = None

    def came_to(self, newest: np.datetime64 | None) -> None:
        """Keep the newest time of the file; a file with a newer time than before does not lag."""
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest, self.lags_since = newest, None


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values that were read from one file.

    Attributes:
        table: value columns, by time (index); each time once.
        until: the last time read if the file was not read to its end; else None.
        unread: the key and the text of each time that cannot be read.
        ahead: number of values with a time too far ahead of the clock.
        late: times of values that came after their record was handed over.
        warnings: sentences for the user.
    """

    table: pd.DataFrame
    until: np.datetime64 | None = None
    unread: tuple[tuple[str, str], ...] = ()
    ahead: int = 0
    late: tuple[np.datetime64, ...] = ()
    warnings: tuple[str, ...] = ()


def column_names(columns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Return the column names for records: file -> name in the file -> name in records.

    A column keeps its name if no other file has a column of this name. A column with a generic or a
    repeated name takes the name of its file. If the file has several value columns, the column's
    own name follows.

    >>> column_names({"flow.csv": ["value"], "b.csv": ["pressure"], "c.csv": ["x", "pressure"]})
    {'flow.csv': {'value': 'flow'}, 'b.csv': {'pressure': 'b'}, 'c.csv': {'x': 'x', 'pressure': 'c pressure'}}
    """
    known = [name for names in columns.values() for name in names]
    found: dict[str, dict[str, str]] = {}
    for file, names in columns.items():
        stem = stem_of(file)
        found[file] = {
            name: name
            if known.count(name) == 1 and name.lower() not in GENERIC_NAMES
            else (stem if len(names) == 1 else f"{stem} {name}")
            for name in names
        }
    return found


def stem_of(name: str) -> str:
    """Return the name of a file without its endings.

    >>> stem_of("area1/flow.CSV.gz")
    'area1/flow'
    """
    while name.lower().endswith(ENDINGS):
        name = name.rpartition(".")[0]
    return name


def rounded_down(times: Times, step: timedelta | None) -> Times:
    """Return N times, each rounded down to the beginning of its step; unchanged without a step."""
    if step is None:
        return times
    length = round(step / timedelta(microseconds=1))
    whole = times.astype("datetime64[us]").astype(np.int64) // length * length
    return np.where(np.isnat(times), np.datetime64("NaT"), whole.astype("datetime64[us]"))


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join tables side by side by time, oldest first; a cell without a value is missing."""
    present = [table for table in tables if len(table.columns)]
    if not present:
        return pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[us]"))
    return pd.concat(present, axis=1, join="outer", sort=True).sort_index()


def complete_until(
    tags: Mapping[str, Tag], read: Mapping[str, Values], now: datetime, wait: timedelta
) -> tuple[np.datetime64 | None, list[str]]:
    """Return the time up to which records are complete, and the files that records wait for.

    Records wait, at most `wait`, for a file whose newest time is before the newest time of another
    file.

    Args:
        tags: the state of each file, by name; `lags_since` is updated.
        read: the values read from each file.
        now: aware UTC.
        wait: the longest wait for a file; zero if no more values are expected at present.

    Returns:
        The time (None: no file holds a time yet), and the names of the files.
    """
    lead = max((tag.newest for tag in tags.values() if tag.newest is not None), default=None)
    until: list[np.datetime64] = []
    waited_for = []
    for name, tag in tags.items():
        read_to = read[name].until
        if read_to is not None:
            until.append(read_to - _INSTANT)  # more values may follow at this time
        elif tag.newest is not None and tag.newest == lead:
            tag.lags_since = None
            until.append(tag.newest)
        elif lead is not None:
            tag.lags_since = tag.lags_since or now
            if now - tag.lags_since < wait:
                waited_for.append(name)
                until.append(np.datetime64(0, "us") if tag.newest is None else tag.newest)
    return min(until, default=None), waited_for
