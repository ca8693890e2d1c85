"""Records made of the readings of another source, as a source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.frame import Roles, naive_utc
from aemon.records import Watermark
from aemon.sources.readings.position import Place, read_place, write_place
from aemon.sources.readings.rows import RowReader, Rows
from aemon.sources.readings.settings import WAIT, ReadingsSettings
from aemon.sources.readings.walk import Making, Walk, Walked
from aemon.sources.source import ChecksApart, Fetched, Replayable

BUCKET_KEY = "bucket:time"
"""The key's column: a record is known by the time of its bucket, and its entity."""

READINGS_AT_ONCE = 20_000
FOLDED_AT = 200_000
"""So many readings are held before records are made of them."""
MOST_HELD = 1_000_000
"""Readings of buckets that are not over yet: some 100 MB."""

RECORDS_AT_ONCE = 10_000
SPARSE = 0.6
"""Records that hold a smaller share of the tags are said to."""


@dataclass(kw_only=True)
class _Told:
    """What the source below said during a walk."""

    warnings: list[str] = field(default_factory=list)
    waiting: int = 0


class Readings:
    """Records of another source's readings: one for each entity and bucket of time.

    A bucket is handed over once it is over for `wait` by the clock, and a later reading is there,
    or nothing new has come for as long. Until then all of its readings are read again by each call,
    so that it is whole however they are cut. What comes later is counted and told; a look behind the
    watermark (`lateness`) finds it as a corrected record.

    Args:
        below: the source of the readings.
        settings: how they become records.
        clock: the time.
        at_once: how many readings are read at a time.
    """

    in_order_of_arrival = False

    def __init__(
        self,
        below: Replayable,
        settings: ReadingsSettings,
        clock: Clock,
        *,
        at_once: int = READINGS_AT_ONCE,
    ) -> None:
        self._below = below
        self._clock = clock
        self._at_once = at_once
        self._pivots = settings.pivot is not None
        bucket, pivot = settings.bucket, settings.pivot
        wait = bucket.wait if bucket is not None else pivot.wait if pivot is not None else WAIT
        self._wait = wait
        self._settings = settings
        self._rows = RowReader(settings, below.roles)
        aggregations = bucket.aggregate if bucket is not None else "last"
        increases = (
            aggregations == "increase"
            if isinstance(aggregations, str)
            else "increase" in aggregations.values()
        )
        every = self._rows.every
        self._making = Making(
            aggregations=aggregations, every=every, back=every if increases else 0
        )
        self._newest: tuple[int, datetime] | None = None  # and since when it has been that
        self._counted: tuple[int, Watermark | None] = (0, None)

    @property
    def roles(self) -> Roles:
        """Which columns identify a record."""
        below = self._below.roles
        return Roles(time=below.time, key=BUCKET_KEY, entity=below.entity)

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether readings may appear behind a watermark, of which `fetch` hears nothing."""
        place = read_place(mark)
        return self._below.hides(place.start if place is not None else None)

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is one that such a source writes."""
        try:
            place = read_place(mark)
        except SourceConfigError:
            return False
        if place is None:
            return False
        return place.start is None or self._below.recognises(place.start)

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first; None: from the first."""
        return self._fetch(after, limit, None)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        place = read_place(until)
        mark: Watermark | None = None
        kept: list[pd.DataFrame] = []
        found: Fetched | None = None
        more = True
        while more:
            found = self._fetch(mark, max(limit, RECORDS_AT_ONCE), place)
            kept.append(_up_to(found, place, self.roles.entity))
            while len(kept) > 1 and sum(map(len, kept[1:])) >= limit:
                kept.pop(0)
            more = found.more and len(kept[-1]) == len(found.table)
            mark = found.watermark
        table = pd.concat(kept, ignore_index=True).tail(limit).reset_index(drop=True)
        times = _times_in(table, self.roles)
        warnings = found.warnings if found is not None else ()
        return Fetched(
            table=table, watermark=until or mark, more=False, times=times, warnings=warnings
        )

    def count(self, limit: int) -> int:
        """Return how many records there are in all, counted no further than `limit`."""
        count, mark = self._counted
        more = True
        while count < limit and more:
            found = self._fetch(mark, limit - count, None)
            count, mark, more = count + len(found.table), found.watermark, found.more
            self._counted = count, mark
        return min(count, limit)

    def check_apart(self) -> None:
        """Refuse rows of which nothing tells what they belong to; tags tell it.

        Raises:
            SourceConfigError: nothing tells which rows belong together.
            SourceError: the source cannot be read.
        """
        if not self._pivots and isinstance(self._below, ChecksApart):
            self._below.check_apart()

    def describe(self) -> str:
        """Return the source below, and what is made of it."""
        made = "tags as columns" if self._pivots else "readings"
        bucket = self._settings.bucket
        every = f", a record every {bucket.every}" if bucket is not None else ""
        return f"{self._below.describe()}, {made}{every}"

    def close(self) -> None:
        """Let go of the source below."""
        self._below.close()

    def _fetch(self, after: Watermark | None, limit: int, closed: Place | None) -> Fetched:
        """Return records after a watermark.

        Args:
            after: the watermark.
            limit: at most so many.
            closed: buckets up to this place are over, whatever the clock says.
        """
        place = read_place(after)
        now = self._clock()
        walk, told = Walk(place, self._making), _Told()
        over = self._over_by_clock(now)
        if closed is not None:
            over = max(over, closed.bucket + 1)
        if place is not None and place.entity is None and over <= place.bucket + self._making.every:
            return self._as_fetched(_nothing(place), told, after, more=False)
        stopped = self._gather(walk, place.start if place is not None else None, limit, over, told)
        ends = min(over, walk.newest)  # the newest bucket may get more
        if not stopped and self._is_quiet(walk.newest, now):
            ends = over
        if closed is not None:
            ends = max(ends, min(closed.bucket + 1, over))
        walk.make(ends)
        walked = walk.finish(limit, self._behind)
        return self._as_fetched(walked, told, after, more=walked.more or stopped)

    def _gather(
        self, walk: Walk, start: Watermark | None, limit: int, over: int, told: _Told
    ) -> bool:
        """Read rows until there are enough records; return whether more rows follow."""
        now = self._clock()
        for rows, more in self._read(start, told, now):
            again = walk.add(rows)
            if not more:
                return False
            if self._below.in_order_of_arrival:
                self._check_order(walk, rows, again)
                if walk.held < MOST_HELD:
                    continue
                ready = min(over, walk.newest - self._wait // timedelta(microseconds=1))
            else:
                ready = min(over, walk.newest)
            if walk.ready(ready) > limit:
                return True
            if walk.held >= min(FOLDED_AT, MOST_HELD):
                walk.make(ready)
                walk.let_go()
            if walk.held >= MOST_HELD:
                raise SourceConfigError(
                    f"{self.describe()}: more than {MOST_HELD:,} readings lie in buckets that are "
                    "not over",
                    todo="choose a shorter bucket, or read fewer tags",
                )
        return False

    def _check_order(self, walk: Walk, rows: Rows, again: int) -> None:
        """Refuse files with one tag after the other that are too large to be sorted here.

        Raises:
            SourceConfigError: most rows lie in buckets that were made without them.
        """
        if walk.made and 2 * again > len(rows):
            raise SourceConfigError(
                f"{self.describe()}: readings do not come in the order of their times",
                todo="sort them by time, or put them into a database",
            )

    def _read(
        self, start: Watermark | None, told: _Told, now: datetime
    ) -> Iterator[tuple[Rows, bool]]:
        """Yield rows behind a watermark until there are no more, and whether more follow."""
        position, more = start, True
        while more:
            fetched = self._below.fetch(position, self._at_once)
            told.warnings += fetched.warnings
            told.waiting = fetched.waiting
            more = fetched.more and fetched.watermark != position
            yield self._rows.read(fetched, position, now), more
            position = fetched.watermark

    def _behind(self, rows: Rows, count: int) -> Watermark | None:
        """Ask the source below for the watermark behind the first rows; None if others are there."""
        fetched = self._below.fetch(rows.before, count)
        if len(fetched.table) != count or fetched.unreadable:
            return None
        again = self._rows.read(fetched, rows.before, self._clock())
        if not np.array_equal(again.times, rows.times[:count]):
            return None
        return fetched.watermark

    def _over_by_clock(self, now: datetime) -> int:
        """Return the time from which on buckets that begin then are not over."""
        latest = naive_utc(now - self._wait).astype(np.int64)
        return int(latest) - self._making.every + 1

    def _is_quiet(self, newest: int, now: datetime) -> bool:
        """Return whether no newer reading has come for as long as a bucket waits."""
        if self._newest is None or self._newest[0] != newest:
            self._newest = newest, now
        return now - self._newest[1] >= self._wait

    def _as_fetched(
        self, walked: Walked, told: _Told, after: Watermark | None, *, more: bool
    ) -> Fetched:
        table = self._with_roles(walked.table)
        times = walked.table["bucket"].to_numpy(dtype=np.int64).astype("datetime64[us]")
        mark = after
        if walked.place is not None and walked.place != read_place(after):
            newest: datetime | None = after.event_time if after is not None else None
            if len(times):
                newest = times[-1].item().replace(tzinfo=UTC)
            mark = Watermark(
                event_time=newest,
                record_key=str(table[BUCKET_KEY].iloc[-1])
                if len(table)
                else after.record_key
                if after
                else "",
                position=write_place(walked.place),
            )
        warnings = [*told.warnings]
        if after is None and self._settings.bucket is None:
            warnings.append(_sparse(walked.table))
        if walked.late:
            warnings.append(
                f"{walked.late} readings came after their bucket was judged without them; a longer "
                "wait takes them in, and lateness judges such buckets again"
            )
        return Fetched(
            table=table,
            watermark=mark,
            more=more and mark != after,
            waiting=told.waiting,
            warnings=tuple(dict.fromkeys(filter(None, warnings))),
            times=times,
            unreadable=walked.unreadable,
            given_up=walked.given_up,
        )

    def _with_roles(self, made: pd.DataFrame) -> pd.DataFrame:
        """Return made records (N,) with the columns that identify them."""
        roles = self.roles
        moments = pd.DatetimeIndex(made["bucket"].to_numpy(dtype=np.int64).astype("datetime64[us]"))
        keys = pd.Series([f"{moment.isoformat()}Z" for moment in moments], dtype="str")
        table = made.drop(columns=["bucket", "entity"]).reset_index(drop=True)
        table.insert(0, roles.time, keys)
        table.insert(1, roles.key, keys)
        if roles.entity is not None:
            table.insert(2, roles.entity, made["entity"].reset_index(drop=True))
        return table


def _sparse(made: pd.DataFrame) -> str:
    """Return what to say of records that hold few of the tags; empty where they hold most."""
    tags = made.columns[2:]
    share = float(made[tags].notna().to_numpy().mean()) if len(made) and len(tags) else 1.0
    if share >= SPARSE:
        return ""
    return (
        f"a record holds {share * len(tags):.1f} of {len(tags)} tags on average, for tags have different "
        "times; bucket: 1m, say, makes one record of the readings of a minute"
    )


def _nothing(place: Place) -> Walked:
    table = pd.DataFrame({"bucket": np.empty(0, dtype=np.int64), "entity": []})
    return Walked(table=table, place=place, more=False, late=0, unreadable=())


def _up_to(found: Fetched, place: Place | None, entity: str | None) -> pd.DataFrame:
    """Return the records of a table up to a place."""
    if place is None:
        return found.table
    if found.times is None:
        raise ValueError("records of readings have their times")
    buckets = found.times.astype(np.int64)
    within = buckets < place.bucket
    own = buckets == place.bucket
    if place.entity is not None and entity is not None:
        own &= (found.table[entity] <= place.entity).to_numpy(dtype=bool)
    up_to: pd.DataFrame = found.table[within | own]
    return up_to


def _times_in(table: pd.DataFrame, roles: Roles) -> "np.ndarray":
    return roles.times_of(table[roles.time])
