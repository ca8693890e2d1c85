"""CSV files with one tag each: a record holds the values of all files at one time."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.frame import Roles, naive_utc
from aemon.records import Watermark
from aemon.sources.csv.files import Files, find_files
from aemon.sources.csv.places import as_position
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles, Reading
from aemon.sources.csv.tag_scan import TagScan
from aemon.sources.csv.tags import (
    Tag,
    Values,
    column_names,
    complete_until,
    joined,
    stem_of,
)
from aemon.sources.plausible_times import BELIEVED_AHEAD
from aemon.sources.source import Fetched

JOINED_KEY = "file:time"
"""Name of the key column: the time is the key of a record."""

SPARSE = 0.6
"""A warning is given if records hold on average less than this share of the tags."""


class JoinedFiles(CsvFiles):
    """CSV files with one tag each, joined by time.

    A record is complete once every file holds a value at the time of the record or later, or once
    `join_wait` for the lagging files has passed. A complete record is handed over; a value that
    arrives later for this record is counted and left out. The watermark is the time of the last
    record; files may therefore be renamed or replaced.
    """

    def __init__(self, settings: CsvSource, clock: Clock) -> None:
        super().__init__(settings)
        self._clock = clock
        self._step = settings.join if isinstance(settings.join, timedelta) else None
        self._wait = settings.join_wait
        self._tags: dict[str, Tag] = {}
        self._handed_over: np.datetime64 | None = None

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        return replace(self._tables.roles, key=JOINED_KEY)

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark (None: from the start), oldest first."""
        self._learn_writing(after)
        since = naive_utc(after.event_time) if after is not None and after.event_time else None
        continues = since is not None and since == self._handed_over
        files = find_files(self._path)
        read = Reading(warnings=[files.warning])
        values = self._named(
            {
                scan.name: scan.values(since, limit, continues=continues)
                for scan in self._scans(files, read)
            }
        )
        table, waited_for = self._complete(files, values)
        ready = table.iloc[:limit]
        read.warnings += self._warnings(values, waited_for)
        if after is None:
            read.warnings.append(_sparse(ready))
        self._handed_over = since if ready.empty else ready.index[-1].to_datetime64()
        unread = [pair for one in values.values() for pair in one.unread]
        more = len(table) > limit or any(one.until is not None for one in values.values())
        found = self._records(ready, unread, after, read)
        return replace(found, more=more, waiting=sum(one.ahead for one in values.values()))

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        self._learn_writing(until)
        files = find_files(self._path)
        read = Reading(warnings=[files.warning])
        end = naive_utc(until.event_time) if until is not None and until.event_time else None
        values = self._named(
            {scan.name: scan.newest(limit, end) for scan in self._scans(files, read)}
        )
        table = self._complete(files, values)[0] if end is None else _join(values)
        found = self._records(table.iloc[len(table) - min(limit, len(table)) :], [], until, read)
        return replace(found, watermark=until or found.watermark)

    def count(self, limit: int) -> int:
        """Return how many complete records the files hold; stop counting at `limit`."""
        return len(self.fetch(None, limit).table)

    def check_apart(self) -> None:
        """Do nothing: each file fills different columns of a record."""

    def describe(self) -> str:
        """Return the kind, the path and how files are joined, without secrets."""
        return f"{super().describe()}, joined by time"

    def _scans(self, files: Files, read: Reading) -> Iterator[TagScan]:
        """Yield a scan of each open file."""
        latest = naive_utc(self._clock() + BELIEVED_AHEAD)
        for name, path in files.read.items():
            with self._open(path, read, alone=len(files.read) == 1) as text:
                if text is not None:
                    yield TagScan(
                        path=path, name=name, text=text, tables=self._tables,
                        tag=self._tags.setdefault(name, Tag()), step=self._step, latest=latest,
                    )  # fmt: skip

    def _named(self, values: dict[str, Values]) -> dict[str, Values]:
        """Return the values of each file, with the column names that records have.

        Raises:
            SourceConfigError: two files give columns of the same name.
        """
        names = column_names({name: list(one.table.columns) for name, one in values.items()})
        owners: dict[str, str] = {}
        for file, renamed in names.items():
            for name in renamed.values():
                if name in owners:
                    raise SourceConfigError(
                        f"{file} and {owners[name]} both make a column {name!r}",
                        todo="rename one of the files, or its column",
                    )
                owners[name] = file
        return {
            name: replace(one, table=one.table.rename(columns=names[name]))
            for name, one in values.items()
        }

    def _complete(self, files: Files, values: dict[str, Values]) -> tuple[pd.DataFrame, list[str]]:
        """Return the complete records, and the files that further records wait for."""
        table = _join(values)
        tags = {name: self._tags[name] for name in values}
        quiet = _quiet(files, self._wait)
        wait = timedelta(0) if quiet else self._wait
        until, waited_for = complete_until(tags, values, self._clock(), wait)
        if until is None:
            return table, []
        if self._step is not None and not quiet:
            return table[table.index < until], waited_for  # the last step may not have ended
        return table[table.index <= until], waited_for

    def _warnings(self, values: dict[str, Values], waited_for: list[str]) -> list[str]:
        texts: list[str] = []
        for name, one in values.items():
            texts += one.warnings
            if one.late:
                texts.append(
                    f"{name}: {len(one.late)} values came too late for their records, the first "
                    f"at {one.late[0].astype('datetime64[s]').item()}; a longer join_wait helps"
                )
        for name in waited_for:
            newest = self._tags[name].newest
            state = (
                f"ends at {newest.astype('datetime64[s]').item()}"
                if newest is not None
                else "has no values yet"
            )
            texts.append(f"{stem_of(name)} {state}: records wait for this file (join_wait)")
        return texts

    def _records(
        self,
        ready: pd.DataFrame,
        unread: list[tuple[str, str]],
        given: Watermark | None,
        read: Reading,
    ) -> Fetched:
        """Return the records with an unreadable time, then the complete records, as `Fetched`."""
        keys = [f"{moment.isoformat()}Z" for moment in ready.index]
        table = ready.reset_index(drop=True)
        table.insert(0, self.roles.time, pd.Series(keys, dtype="str"))
        table.insert(1, JOINED_KEY, pd.Series(keys, dtype="str"))
        if unread:
            rows = {
                self.roles.time: [text for _, text in unread],
                JOINED_KEY: [k for k, _ in unread],
            }
            table = pd.concat([pd.DataFrame(rows), table], ignore_index=True)
        times = np.concatenate(
            [
                np.full(len(unread), np.datetime64("NaT"), dtype="datetime64[us]"),
                ready.index.to_numpy().astype("datetime64[us]"),
            ]
        )
        mark = given
        if keys:
            last: datetime = times[-1].item()
            mark = Watermark(
                event_time=last.replace(tzinfo=UTC),
                record_key=keys[-1],
                position=as_position({}, self._tables.roles.date_order),
            )
        warnings = tuple(dict.fromkeys(filter(None, read.warnings)))
        return Fetched(table=table, watermark=mark, more=False, warnings=warnings, times=times)


def _join(values: dict[str, Values]) -> pd.DataFrame:
    return joined(one.table for one in values.values())


def _quiet(files: Files, wait: timedelta) -> bool:
    """Return whether no file changed during the last `wait`; then no more values are expected."""
    changed = [path.stat().st_mtime for path in files.read.values() if path.exists()]
    return time.time() - max(changed, default=0.0) >= wait.total_seconds()


def _sparse(ready: pd.DataFrame) -> str:
    """Return a warning if records hold few of the tags; else an empty text."""
    share = float(ready.notna().to_numpy().mean()) if ready.size else 1.0
    if share >= SPARSE:
        return ""
    held = f"{share * len(ready.columns):.1f} of {len(ready.columns)} values"
    return (
        f"a record holds {held} on average because the files have different times; "
        "join: 10s, for example, makes one record of the values within ten seconds"
    )
