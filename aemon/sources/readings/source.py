"""A source that makes its records from the readings of another source."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from aemon.clock import Clock, format_duration
from aemon.errors import SourceConfigError
from aemon.frame import Roles, naive_utc
from aemon.records import Watermark
from aemon.sources.readings.gathering import Gatherer, ReadReport
from aemon.sources.readings.making import making_of
from aemon.sources.readings.position import Place, read_place, write_place
from aemon.sources.readings.rows import NO_BUCKET, RowReader, bucket_text
from aemon.sources.readings.settings import ReadingsSettings
from aemon.sources.readings.walk import Walk, Walked
from aemon.sources.source import ChecksApart, Fetched, Replayable

BUCKET_KEY = "bucket:time"
"""The column of the key: the time of the bucket and the entity identify a record."""

READINGS_AT_ONCE = 20_000

RECORDS_AT_ONCE = 10_000
MOST_TURNS = 3
"""Maximum number of tries to read from the end: with 20,000, 80,000 and then 320,000 readings."""
UNCOUNTED = -1
"""`Place.known` if the known rows were not counted."""
AHEAD = timedelta(hours=1)
"""A reading further ahead of the clock causes a warning."""
_ALL = np.iinfo(np.int64).max
SPARSE = 0.6
"""A warning is given if records hold a smaller share of the tags than this, on average."""


class Readings:
    """A source with a record for each entity and bucket, made from another source's readings.

    The records of a bucket are handed over once `wait` has passed after its end. In addition, a
    reading of a later bucket must exist, or no such reading has arrived for `wait`. Until then each
    call reads all readings of the bucket again, so that the records become complete. Readings that
    arrive after the records are counted and reported. Reading again before the watermark (the
    setting `lateness`) returns a corrected record.

    Args:
        below: the underlying source, which has the readings.
        settings: the rules for making records from readings.
        clock: returns the current time.
        at_once: number of readings in one read.
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
        self._pivots = settings.pivot is not None
        wait = settings.readings_wait or timedelta(0)
        self._wait = wait
        self._settings = settings
        rows = RowReader(settings, below.roles)
        self._gatherer = Gatherer(below, rows, wait, clock, at_once)
        self._making = making_of(settings, rows.every)
        self._newest: tuple[int, datetime] | None = None  # the newest bucket, and when first seen
        self._counted: tuple[int, Watermark | None] = (0, None)

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        below = self._below.roles
        return Roles(time=below.time, key=BUCKET_KEY, entity=below.entity)

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether new readings may be before a watermark; `fetch` misses such readings."""
        place = read_place(mark)
        return self._below.hides(place.start if place is not None else None)

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is in the form that this source writes."""
        try:
            place = read_place(mark)
        except SourceConfigError:
            return False
        if place is None:
            return False
        return place.start is None or self._below.recognises(place.start)

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark (None: the first), oldest first."""
        return self._fetch(after, limit, None)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        place = read_place(until)
        found = self._from_end(place, limit) or self._from_beginning(place, limit)
        table = found.table.tail(limit).reset_index(drop=True)
        if place is not None:
            table = table.reindex(columns=self._columns({*table.columns, *place.tags}))
        times = self.roles.times_of(table[self.roles.time])
        return replace(found, table=table, watermark=until or found.watermark, times=times)

    def _from_end(self, place: Place | None, limit: int) -> Fetched | None:
        """Return the newest records up to a place, from the newest rows.

        Return None if these rows do not have enough whole buckets.
        """
        start = place.start if place is not None else None
        if place is not None and start is None:
            return None
        for count in (4**turn * self._gatherer.at_once for turn in range(MOST_TURNS)):
            fetched, rows, all_read = self._gatherer.newest(start, count)
            first = NO_BUCKET if all_read else self._gatherer.first_whole(rows, self._making)
            if first is None:
                return None
            tags = place.tags if place is not None else ()
            begin = Place(bucket=first, entity=None, known=0, start=None, tags=tags)
            walk, report = Walk(begin, self._making), ReadReport(waiting=fetched.waiting)
            walk.add(rows)
            if place is not None:
                self._gatherer.gather_up_to(walk, place, report)
            walk.make(self._ends(walk, place, stopped=False))
            walked = walk.finish(_ALL, lambda _rows, _count: None)
            mark = None
            if place is None and len(walked.table):
                last = int(walked.table["bucket"].iloc[-1])
                whole = last == walk.newest  # all rows read are in the records
                after = fetched.watermark if whole and not self._making.back else None
                here = Place(
                    bucket=last,
                    entity=None,
                    known=0 if after else UNCOUNTED,
                    start=after,
                    tags=tuple(walked.table.columns[2:]),
                )
                walked = replace(walked, place=here, late=0)
            else:
                walked = replace(walked, place=None, late=0)
            found = self._as_fetched(walked, report, mark, more=False)
            found = replace(found, table=_up_to(found, place, self.roles.entity), times=None)
            if all_read or len(found.table) >= limit:
                return found
        return None

    def _from_beginning(self, place: Place | None, limit: int) -> Fetched:
        """Return the newest records up to a place, by reading all rows from the first row on."""
        mark: Watermark | None = None
        kept: list[pd.DataFrame] = []
        more = True
        while more:
            found = self._fetch(mark, max(limit, RECORDS_AT_ONCE), place)
            kept.append(_up_to(found, place, self.roles.entity))
            while len(kept) > 1 and sum(map(len, kept[1:])) >= limit:
                kept.pop(0)
            more = found.more and len(kept[-1]) == len(found.table)
            mark = found.watermark
        return replace(found, table=pd.concat(kept, ignore_index=True), more=False, times=None)

    def count(self, limit: int) -> int:
        """Return how many records there are; stop counting at `limit`."""
        count, mark = self._counted
        more = True
        while count < limit and more:
            found = self._fetch(mark, limit - count, None)
            count, mark, more = count + len(found.table), found.watermark, found.more
            self._counted = count, mark
        return min(count, limit)

    def check_apart(self) -> None:
        """Raise an error if rows of different entities cannot be distinguished.

        A long table needs no check, because its tags distinguish the rows.

        Raises:
            SourceConfigError: no column or key shows which rows belong together.
            SourceError: the source cannot be read.
        """
        if not self._pivots and isinstance(self._below, ChecksApart):
            self._below.check_apart()

    def describe(self) -> str:
        """Return a description of the underlying source and of the records made of it."""
        made = "tags as columns" if self._pivots else "readings"
        bucket = self._settings.bucket
        every = f", a record every {format_duration(bucket.every)}" if bucket is not None else ""
        return f"{self._below.describe()}, {made}{every}"

    def close(self) -> None:
        """Close the underlying source."""
        self._below.close()

    def _fetch(self, after: Watermark | None, limit: int, closed: Place | None) -> Fetched:
        """Return records after a watermark.

        Args:
            after: the watermark.
            limit: maximum number of records.
            closed: a place up to which all buckets count as over, whatever the clock says.
        """
        place = read_place(after)
        now = self._clock()
        walk, report = Walk(place, self._making), ReadReport()
        over = self._over_by_clock(now)
        if closed is not None:
            over = max(over, closed.bucket + 1)
        if place is not None and place.entity is None and over <= place.bucket + self._making.every:
            return self._as_fetched(_nothing(place), report, after, more=False)
        start = place.start if place is not None else None
        stopped = self._gatherer.gather(walk, start, limit, over, report)
        walk.make(self._ends(walk, closed, stopped=stopped))
        if walk.newest > naive_utc(now + AHEAD).astype(np.int64):
            report.warnings.append(
                f"the newest reading, of {bucket_text(walk.newest)}, is ahead of the clock: its record "
                "waits"
            )
        report.warnings += [
            f"{tag}: readings such as {example[:30]!r} are not numbers; its values are missing"
            for tag, example in walk.tags_of_words.items()
        ]
        walked = walk.finish(limit, self._gatherer.behind)
        return self._as_fetched(walked, report, after, more=walked.more or stopped)

    def _ends(self, walk: Walk, closed: Place | None, *, stopped: bool) -> int:
        """Return a time: records of all buckets that begin before this time can be made now."""
        now = self._clock()
        over = self._over_by_clock(now)
        ends = min(over, walk.newest)  # the newest bucket may get more readings
        if stopped:
            ends = self._gatherer.complete(walk, over)
        elif self._is_quiet(walk.newest, now):
            ends = over
        return ends if closed is None else max(ends, closed.bucket + 1)

    def _over_by_clock(self, now: datetime) -> int:
        """Return a time: all buckets that begin before this time are over by the clock."""
        latest = naive_utc(now - self._wait).astype(np.int64)
        return int(latest) - self._making.every + 1

    def _is_quiet(self, newest: int, now: datetime) -> bool:
        """Return whether no reading of a newer bucket has arrived for `wait`."""
        if self._newest is None or self._newest[0] != newest:
            self._newest = newest, now
        return now - self._newest[1] >= self._wait

    def _as_fetched(
        self, walked: Walked, report: ReadReport, after: Watermark | None, *, more: bool
    ) -> Fetched:
        table = self._with_roles(walked.table)
        times = walked.table["bucket"].to_numpy(dtype=np.int64).astype("datetime64[us]")
        mark = after
        if walked.place is not None and walked.place != read_place(after):
            newest: datetime | None = after.event_time if after is not None else None
            key = after.record_key if after is not None else ""
            if len(times):
                key = str(table[BUCKET_KEY].iloc[-1])
                newest = times[-1].item().replace(tzinfo=UTC)
            mark = Watermark(
                event_time=newest,
                record_key=key,
                position=write_place(walked.place),
            )
        warnings = [*report.warnings]
        if after is None and self._settings.bucket is None:
            warnings.append(_sparse(walked.table))
        if walked.late:
            warnings.append(
                f"{walked.late} reading{'' if walked.late == 1 else 's'} arrived after the record "
                "was made; a longer wait includes such readings, and lateness judges the record again"
            )
        return Fetched(
            table=table,
            watermark=mark,
            more=more and mark != after,
            waiting=report.waiting,
            warnings=tuple(dict.fromkeys(filter(None, warnings))),
            times=times,
            unreadable=walked.unreadable,
            given_up=walked.given_up,
        )

    def _columns(self, names: Collection[str]) -> list[str]:
        """Return the columns in order: first time, key and entity, then the tags by name."""
        roles = self.roles
        first = [name for name in (roles.time, roles.key, roles.entity) if name is not None]
        return [*first, *sorted(set(names) - set(first))]

    def _with_roles(self, made: pd.DataFrame) -> pd.DataFrame:
        """Return records (N rows) with the columns that identify a record: time, key, entity."""
        roles = self.roles
        keys = pd.Series([bucket_text(bucket) for bucket in made["bucket"]], dtype="str")
        table = made.drop(columns=["bucket", "entity"]).reset_index(drop=True)
        table.insert(0, roles.time, keys)
        table.insert(1, roles.key, keys)
        if roles.entity is not None:
            table.insert(2, roles.entity, made["entity"].reset_index(drop=True))
        return table


def _sparse(made: pd.DataFrame) -> str:
    """Return a warning if records hold few tags on average; otherwise an empty text."""
    tags = made.columns[2:]
    share = float(made[tags].notna().to_numpy().mean()) if len(made) and len(tags) else 1.0
    if share >= SPARSE:
        return ""
    return (
        f"a record holds {share * len(tags):.1f} of {len(tags)} tags on average, because tags have "
        "different times; bucket: 1m, for example, makes one record of the readings of a minute"
    )


def _nothing(place: Place) -> Walked:
    table = pd.DataFrame({"bucket": np.empty(0, dtype=np.int64), "entity": []})
    table = table.reindex(columns=[*table.columns, *place.tags])
    return Walked(table=table, place=place, more=False, late=0, unreadable=())


def _up_to(found: Fetched, place: Place | None, entity: str | None) -> pd.DataFrame:
    """Return the fetched records up to a place; all fetched records if the place is None."""
    if place is None:
        return found.table
    if found.times is None:
        raise ValueError("records of readings must have times")
    buckets = found.times.astype(np.int64)
    within = buckets < place.bucket
    own = buckets == place.bucket
    if place.entity is not None and entity is not None:
        own &= (found.table[entity] <= place.entity).to_numpy(dtype=bool)
    up_to: pd.DataFrame = found.table[within | own]
    return up_to
