"""The values of several files as records of one time each: a column for every tag."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.sources.csv.places import Place

Times = npt.NDArray[np.datetime64]

GENERIC_NAMES = frozenset({"value", "values", "val", "v", "y", "reading", "measurement", "wert"})
"""Such a column is named by its file."""

_INSTANT = np.timedelta64(1, "us")
ENDINGS = (".gz", ".bz2", ".xz", ".zip", ".csv", ".txt")


@dataclass(kw_only=True)
class Tag:
    """What is known of one file between two reads.

    Attributes:
        place: behind lines none of whose times is later than `until`.
        until: a time up to which all was handed over.
        read_to: byte up to which the file was read.
        newest: the newest time in it.
        lags_since: when others were first seen to have come further; None while none has.
    """

    place: Place | None = None
    until: np.datetime64 | None = None
    read_to: int = 0
    newest: np.datetime64 | None = None
    lags_since: datetime | None = None

    def came_to(self, newest: np.datetime64 | None) -> None:
        """Note the newest time; a file that goes on lags no more."""
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest, self.lags_since = newest, None


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values that were read of one file.

    Attributes:
        table: value columns, by time (index); each time once.
        until: the last time read, where the file was not read to its end; else None.
        unread: records whose time cannot be read: their key and what is written there.
        ahead: how many have a time too far ahead of the clock.
        late: times of values that came after their record was handed over.
        warnings: what a person should know, a sentence each.
    """

    table: pd.DataFrame
    until: np.datetime64 | None = None
    unread: tuple[tuple[str, str], ...] = ()
    ahead: int = 0
    late: tuple[np.datetime64, ...] = ()
    warnings: tuple[str, ...] = ()


def column_names(columns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Return what the value columns of each file are called: file -> own name -> name.

    A column keeps its own name where no other file has such a one; the only column of a file takes the
    file's name where its own says nothing or is another file's, too.

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
    """Return N times, each as the beginning of its step; without a step as they are."""
    if step is None:
        return times
    length = round(step / timedelta(microseconds=1))
    whole = times.astype("datetime64[us]").astype(np.int64) // length * length
    return np.where(np.isnat(times), np.datetime64("NaT"), whole.astype("datetime64[us]"))


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all tables side by side, oldest first; what one lacks is missing."""
    there = [table for table in tables if len(table.columns)]
    if not there:
        return pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[us]"))
    return pd.concat(there, axis=1, join="outer", sort=True).sort_index()


def complete_until(
    tags: Mapping[str, Tag], read: Mapping[str, Values], now: datetime, wait: timedelta
) -> tuple[np.datetime64 | None, list[str]]:
    """Return up to which time every file has come, and the files that are waited for.

    A file that others have overtaken is waited for as long as is said, and no longer.

    Args:
        tags: what is known of each file, by name; since when one lags is noted in it.
        read: what was read of each.
        now: aware UTC.
        wait: for how long; none where nothing more is to come.

    Returns:
        None as the time where there is none yet.
    """
    lead = max((tag.newest for tag in tags.values() if tag.newest is not None), default=None)
    until: list[np.datetime64] = []
    waited_for = []
    for name, tag in tags.items():
        read_to = read[name].until
        if read_to is not None:
            until.append(read_to - _INSTANT)  # more may follow at the same time
        elif tag.newest is not None and tag.newest == lead:
            tag.lags_since = None
            until.append(tag.newest)
        elif lead is not None:
            tag.lags_since = tag.lags_since or now
            if now - tag.lags_since < wait:
                waited_for.append(name)
                until.append(np.datetime64(0, "us") if tag.newest is None else tag.newest)
    return min(until, default=None), waited_for
