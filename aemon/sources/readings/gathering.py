"""Reading rows for a walk, until there are enough of them for the records that are wanted."""

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
"""So many readings are held before records are made of them."""
MOST_HELD = 1_000_000
"""Readings of buckets that are not over yet: some 100 MB."""

EARLY_SHARE = 0.1
"""So many rows may be out of order in a file that is larger than what is held."""


@dataclass(kw_only=True)
class Told:
    """What the source below said during a walk."""

    warnings: list[str] = field(default_factory=list)
    waiting: int = 0


class Gatherer:
    """Reads the rows of a source for walks.

    Args:
        below: the source.
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
        """Return the bucket before which no more readings are to come, though more rows follow."""
        if self.below.in_order_of_arrival:
            return min(over, walk.newest - self._wait // timedelta(microseconds=1))
        return min(over, walk.newest)

    def _check_rest(self, walk: Walk, rows: Rows, now: datetime) -> None:
        """Look once at all rows that follow, before records are made without them.

        Raises:
            SourceConfigError: many of them lie in buckets before the newest one: rows do not come in
                the order of their times, and there are too many to be held.
        """
        if self._order_checked:
            return
        before = walk.newest - self._wait // timedelta(microseconds=1)
        count = early = 0
        for following, _more in self.read(rows.after, Told(), now):
            count += len(following)
            early += int((following.buckets < before).sum())
        if early > EARLY_SHARE * count:
            raise _unordered(self.below)
        self._order_checked = True

    def gather(
        self, walk: Walk, start: Watermark | None, limit: int, over: int, told: Told
    ) -> bool:
        """Read rows until there are enough records; return whether more rows follow."""
        now = self._clock()
        for rows, more in self.read(start, told, now):
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
                walk.let_go()
            if walk.held >= MOST_HELD:
                raise SourceConfigError(
                    f"{self.below.describe()}: more than {MOST_HELD:,} readings lie in buckets that are "
                    "not over",
                    todo="choose a shorter bucket, or read fewer tags",
                )
        return False

    def gather_up_to(self, walk: Walk, place: Place, told: Told) -> None:
        """Read rows behind the start of a place as far as they may lie before its end."""
        for rows, _more in self.read(place.start, told, self._clock()):
            walk.add(rows)
            real = rows.buckets[rows.buckets != NO_BUCKET]
            if not self.below.in_order_of_arrival and len(real) and real.min() > place.bucket:
                return

    def newest(self, until: Watermark | None, count: int) -> tuple[Fetched, Rows, bool]:
        """Return the newest rows up to a watermark, and whether they are all there are."""
        fetched = self.below.newest(until, count)
        rows = self.rows.read(fetched, None, self._clock())
        return fetched, rows, len(fetched.table) + len(fetched.unreadable) < count

    def first_whole(self, rows: Rows, making: Making) -> int | None:
        """Return the bucket from which on all readings are among the newest rows.

        None where that cannot be told: readings of one time may stand anywhere.
        """
        real = rows.buckets != NO_BUCKET
        if self.below.in_order_of_arrival or not real.any():
            return None
        return int(rows.buckets[real].min()) + making.back

    def read(
        self, start: Watermark | None, told: Told, now: datetime
    ) -> Iterator[tuple[Rows, bool]]:
        """Yield rows behind a watermark until there are no more, and whether more follow."""
        position, more = start, True
        while more:
            fetched = self.below.fetch(position, self.at_once)
            told.warnings += fetched.warnings
            told.waiting = fetched.waiting
            more = fetched.more and fetched.watermark != position
            yield self.rows.read(fetched, position, now), more
            position = fetched.watermark

    def behind(self, rows: Rows, count: int) -> Watermark | None:
        """Ask the source below for the watermark behind the first rows; None if others are there."""
        fetched = self.below.fetch(rows.before, count)
        if len(fetched.table) != count or fetched.unreadable:
            return None
        again = self.rows.read(fetched, rows.before, self._clock())
        if not np.array_equal(again.times, rows.times[:count]):
            return None
        return fetched.watermark


def _check_order(below: Replayable, walk: Walk, rows: Rows, again: int) -> None:
    """Refuse files with one tag after the other that are too large to be sorted here.

    Raises:
        SourceConfigError: most rows lie in buckets that were made without them.
    """
    if walk.made and 2 * again > len(rows):
        raise _unordered(below)


def _unordered(below: Replayable) -> SourceConfigError:
    return SourceConfigError(
        f"{below.describe()}: readings do not come in the order of their times, and there are too many "
        "to be sorted here",
        todo="sort them by time, such as by the command sort, or put them into a database",
    )
