"""Reading rows for a walk, until there are enough rows for the requested records."""

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
"""Readings held in memory before records are made of them."""
MOST_HELD = 1_000_000
"""Maximum readings held for buckets that are not over yet: about 100 MB."""

EARLY_SHARE = 0.1
"""Share of rows that may be out of order in a file with more readings than `MOST_HELD`."""


@dataclass(kw_only=True)
class ReadReport:
    """Warnings of the underlying source during a walk, and its number of waiting records."""

    warnings: list[str] = field(default_factory=list)
    waiting: int = 0


class Gatherer:
    """A reader of the rows of an underlying source for walks.

    Args:
        below: the underlying source.
        rows: makes readings of its rows.
        wait: how long a bucket waits for late readings.
        clock: the time.
        at_once: how many rows are read at a time.
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
        """Return the bucket before which no more readings are expected, although rows follow."""
        if self.below.in_order_of_arrival:
            return min(over, walk.newest - self._wait // timedelta(microseconds=1))
        return min(over, walk.newest)

    def _check_rest(self, walk: Walk, rows: Rows, now: datetime) -> None:
        """Check once all following rows, before records are made without them.

        Raises:
            SourceConfigError: many of the rows belong to earlier buckets: rows are not in the order
                of their times, and there are too many to hold them all.
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
            SourceConfigError: too many readings are out of order, or in buckets that are not over.
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
        """Read rows after the start of a place, as long as rows may belong before its end."""
        for rows, _more in self.read(place.start, report, self._clock()):
            walk.add(rows)
            real = rows.buckets[rows.buckets != NO_BUCKET]
            if not self.below.in_order_of_arrival and len(real) and real.min() > place.bucket:
                return

    def newest(self, until: Watermark | None, count: int) -> tuple[Fetched, Rows, bool]:
        """Return the newest rows up to a watermark, and whether these are all rows."""
        fetched = self.below.newest(until, count)
        rows = self.rows.read(fetched, None, self._clock())
        return fetched, rows, len(fetched.table) + len(fetched.unreadable) < count

    def first_whole(self, rows: Rows, making: Making) -> int | None:
        """Return the first bucket whose readings are all among the newest rows.

        Return None if this is unknown, because readings of one time may be anywhere.
        """
        real = rows.buckets != NO_BUCKET
        if self.below.in_order_of_arrival or not real.any():
            return None
        return int(rows.buckets[real].min()) + making.back

    def read(
        self, start: Watermark | None, report: ReadReport, now: datetime
    ) -> Iterator[tuple[Rows, bool]]:
        """Yield rows after a watermark until there are no more, each with whether more follow."""
        position, more = start, True
        while more:
            fetched = self.below.fetch(position, self.at_once)
            report.warnings += fetched.warnings
            report.waiting = fetched.waiting
            more = fetched.more and fetched.watermark != position
            yield self.rows.read(fetched, position, now), more
            position = fetched.watermark

    def behind(self, rows: Rows, count: int) -> Watermark | None:
        """Return the underlying source's watermark after the first rows; None if rows changed."""
        fetched = self.below.fetch(rows.before, count)
        if len(fetched.table) != count or fetched.unreadable:
            return None
        again = self.rows.read(fetched, rows.before, self._clock())
        if not np.array_equal(again.times, rows.times[:count]):
            return None
        return fetched.watermark


def _check_order(below: Replayable, walk: Walk, rows: Rows, again: int) -> None:
    """Raise an error for files with one tag after the other that are too large to sort here.

    Raises:
        SourceConfigError: most rows belong to buckets that were made without them.
    """
    if walk.made and 2 * again > len(rows):
        raise _unordered(below)


def _unordered(below: Replayable) -> SourceConfigError:
    return SourceConfigError(
        f"{below.describe()}: readings are not in the order of their times, and there are too many "
        "to sort them here",
        todo="sort them by time, such as by the command sort, or put them into a database",
    )
