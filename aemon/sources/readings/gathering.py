"""Reads rows of the underlying source until a walk has enough rows for the requested records."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.records import Watermark
from aemon.sources.readings.position import Place
from aemon.sources.readings.rows import NO_BUCKET, RowReader, Rows
from aemon.sources.readings.walk import Making, Walk
from aemon.sources.source import Fetched, Replayable

FOLDED_AT = 200_000
"""Number of readings that are held in memory before records are made of the readings."""
MOST_HELD = 1_000_000
"""Maximum number of readings held for buckets that are not over yet; they need about 100 MB."""

EARLY_SHARE = 0.1
"""Share of rows that may be out of order in a file with more readings than `MOST_HELD`."""


@dataclass(kw_only=True)
class ReadReport:
    """Warnings of the underlying source during a walk, and the number of its waiting records."""

    warnings: list[str] = field(default_factory=list)
    waiting: int = 0


class Gatherer:
    """A reader that adds the rows of an underlying source to walks.

    Args:
        below: the underlying source.
        rows: converter of rows into readings.
        wait: how long a bucket waits for late readings.
        clock: returns the current time.
        at_once: number of rows in one read.
    """

    def __init__(
        self, below: Replayable, rows: RowReader, wait: timedelta, clock: Clock, at_once: int
    ) -> None:
        self.below = below
        self.rows = rows
        self.at_once = at_once
        self._wait = wait
        self._clock = clock
        self._order_checked = False

    def complete(self, walk: Walk, over: int) -> int:
        """Return the bucket before which all buckets are complete, although more rows follow."""
        if self.below.in_order_of_arrival:
            return min(over, walk.newest - self._wait // timedelta(microseconds=1))
        return min(over, walk.newest)

    def _check_rest(self, walk: Walk, rows: Rows, now: datetime) -> None:
        """Check all rows that follow, once, before records are made without these rows.

        Raises:
            SourceConfigError: many of these rows belong to earlier buckets. So the rows are not in
                the order of their times, and memory cannot hold them all.
        """
        if self._order_checked:
            return
        before = walk.newest - self._wait // timedelta(microseconds=1)
        count = early = 0
        for following, _more in self.read(rows.after, ReadReport(), now):
            count += len(following)
            early += int((following.buckets < before).sum())
        if early > EARLY_SHARE * count:
            raise _unordered(self.below)
        self._order_checked = True

    def gather(
        self, walk: Walk, start: Watermark | None, limit: int, over: int, report: ReadReport
    ) -> bool:
        """Read rows until there are enough records; return whether more rows follow.

        Raises:
            SourceConfigError: too many readings are out of order, or belong to buckets that are
                not over.
        """
        now = self._clock()
        for rows, more in self.read(start, report, now):
            again = walk.add(rows)
            if not more:
                return False
            if self.below.in_order_of_arrival:
                _check_order(self.below, walk, rows, again)
                if walk.held < MOST_HELD:
                    continue
                self._check_rest(walk, rows, now)
            ready = self.complete(walk, over)
            if walk.ready(ready) > limit:
                return True
            if walk.held >= min(FOLDED_AT, MOST_HELD):
                walk.make(ready)
                walk.forget_rows()
            if walk.held >= MOST_HELD:
                raise SourceConfigError(
                    f"{self.below.describe()}: more than {MOST_HELD:,} readings are in buckets that "
                    "are not over",
                    todo="choose a shorter bucket, or read fewer tags",
                )
        return False

    def gather_up_to(self, walk: Walk, place: Place, report: ReadReport) -> None:
        """Read rows from the start of a place until no further row can belong to its records."""
        for rows, _more in self.read(place.start, report, self._clock()):
            walk.add(rows)
            real = rows.buckets[rows.buckets != NO_BUCKET]
            if not self.below.in_order_of_arrival and len(real) and real.min() > place.bucket:
                return

    def newest(self, until: Watermark | None, count: int) -> tuple[Fetched, Rows, bool]:
        """Return the newest rows up to a watermark, as fetched and as `Rows`.

        The third value is whether the source has no further rows before these rows.
        """
        fetched = self.below.newest(until, count)
        rows = self.rows.read(fetched, None, self._clock())
        return fetched, rows, len(fetched.table) + len(fetched.unreadable) < count

    def first_whole(self, rows: Rows, making: Making) -> int | None:
        """Return the first bucket with all its readings among the newest rows.

        Return None if no row is a reading. Return None also for rows in order of arrival, where
        the readings of a bucket may be among earlier rows.
        """
        real = rows.buckets != NO_BUCKET
        if self.below.in_order_of_arrival or not real.any():
            return None
        return int(rows.buckets[real].min()) + making.back

    def read(
        self, start: Watermark | None, report: ReadReport, now: datetime
    ) -> Iterator[tuple[Rows, bool]]:
        """Yield all rows after a watermark, in parts; with each part, whether more rows follow."""
        position, more = start, True
        while more:
            fetched = self.below.fetch(position, self.at_once)
            report.warnings += fetched.warnings
            report.waiting = fetched.waiting
            more = fetched.more and fetched.watermark != position
            yield self.rows.read(fetched, position, now), more
            position = fetched.watermark

    def behind(self, rows: Rows, count: int) -> Watermark | None:
        """Return the underlying source's watermark after the first `count` of some rows.

        The rows are read again; return None if they have changed since they were first read.
        """
        fetched = self.below.fetch(rows.before, count)
        if len(fetched.table) != count or fetched.unreadable:
            return None
        again = self.rows.read(fetched, rows.before, self._clock())
        if not np.array_equal(again.times, rows.times[:count]):
            return None
        return fetched.watermark


def _check_order(below: Replayable, walk: Walk, rows: Rows, again: int) -> None:
    """Check the order of rows in a large file, which may hold all rows of a tag before the next.

    Raises:
        SourceConfigError: most rows belong to records that were already made without these rows.
            The file must be sorted by time, because it is too large to be sorted in memory.
    """
    if walk.made and 2 * again > len(rows):
        raise _unordered(below)


def _unordered(below: Replayable) -> SourceConfigError:
    return SourceConfigError(
        f"{below.describe()}: readings are not in the order of their times, and there are too many "
        "to sort them here",
        todo="sort the readings by time, for example with the command sort, or put them into a "
        "database",
    )
