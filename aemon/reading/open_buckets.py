"""The open buckets of a stream: readings are stored, and become a record when their bucket closes.

The store keeps the readings of a bucket until it has their record, so a crash loses no reading. The
bucket of an entity closes when three conditions hold: by the clock, the bucket ended at least
`wait` ago; in the last `wait`, no reading of the bucket arrived; the stream has been connected for
at least `wait`. So if a broker kept messages while aemon was stopped, these messages arrive before
their bucket closes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from aemon.frame import Roles, identify
from aemon.reading.plain_records import as_text, plain_records
from aemon.sources.readings.bucket_records import ENTITY, KEY, TIME, BucketRecords, Collected
from aemon.sources.readings.rows import bucket_text
from aemon.sources.readings.settings import ReadingsSettings
from aemon.store.inbox.kept_records import Beside, Kept
from aemon.store.inbox.open_readings import (
    CARRIED,
    Closing,
    OpenBucket,
    carried_readings,
    close_buckets,
    count_open,
    keep_readings,
    key_time,
    open_buckets,
    open_readings,
    time_of_key,
)
from aemon.store.inbox.rejected_records import Rejected
from aemon.store.store import Row, Store

TOO_MANY, NOT_A_NUMBER = "too_many_readings", "not_a_number"
MOST_OPEN = 1_000_000
"""Largest number of readings in open buckets; more readings are rejected until a bucket closes."""

COUNTED_EVERY = 10_000  # new readings between two counts of the stored readings
READINGS_AT_ONCE = 20_000  # readings read from the store at once
CLOSED_AT_ONCE = 200_000  # number of readings in the buckets that one transaction closes
CARRIED_FOR = timedelta(days=1)
"""How long a carried reading is kept after its last use, because entities may be late by this
time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chosen:
    """The buckets to close now, as pairs (entity, beginning).

    `is_all` is True if these are all buckets that begin before `before`.
    """

    names: set[tuple[str, datetime]]
    before: datetime
    is_all: bool


class OpenBuckets:
    """The open buckets of one monitor.

    Args:
        settings: settings of the source, with `pivot` or `bucket`.
        store: the store.
        monitor: name of the monitor.
    """

    def __init__(self, settings: ReadingsSettings, store: Store, monitor: str) -> None:
        self._maker = BucketRecords(settings)
        self._store = store
        self._monitor = monitor
        self._since: datetime | None = None
        self._stored = MOST_OPEN  # unknown at first
        self._uncounted = COUNTED_EVERY

    def keep(self, rows: Sequence[Row], beside: Beside) -> Kept:
        """Store the readings of a stream; reject readings that belong to no open bucket.

        Args:
            rows: readings in order of arrival: entity, record_key, event_time and record.
            beside: data that is stored in the same transaction.

        Raises:
            RefusedError: the database refuses the values; nothing is stored.
            StoreError: the database fails; nothing is stored.
        """
        now = self._store.now()
        room = self._room(len(rows))
        placed: list[Row] = []
        rejected = list(beside.rejected)
        for row in rows:
            problem = self._maker.problem_of(row["record"], row["event_time"], now)
            if problem is None and len(placed) >= room:
                problem = TOO_MANY
            if problem is not None:
                rejected.append(Rejected(reason=problem, record=_as_text(row)))
                continue
            placed.append(self._placed(row))
        with_rejected = replace(beside, rejected=tuple(rejected), finish_before=None)
        kept = keep_readings(
            self._store, self._monitor, placed, with_rejected, self._over_before(now)
        )
        self._stored += kept.new
        self._uncounted += kept.new
        return kept

    def close_over(self, finish_before: datetime | None, keep: int | None) -> Kept | None:
        """Close the buckets that can be closed now, and store their records.

        Return None if no bucket can be closed.

        Args:
            finish_before: a bucket closes only if its last reading arrived before this time. None
                if the stream does not know since when it has been connected; the stream then
                counts as connected since the first call.
            keep: how many of the newest records to keep; None drops no record.

        Raises:
            RefusedError: the database refuses a record; nothing is changed.
            StoreError: the database fails; nothing is changed.
        """
        now = self._store.now()
        self._since = now if self._since is None else min(self._since, now)
        if finish_before is None:
            if now - self._since < self._maker.wait:
                return None
            finish_before = now - self._maker.wait
        finish_before = min(finish_before, now - self._maker.wait)
        edge = self._over_before(now)
        chosen = self._chosen(open_buckets(self._store, self._monitor, edge), finish_before)
        if not chosen.names:
            return None
        closing = self._closing(chosen, finish_before, now)
        kept = close_buckets(self._store, self._monitor, closing, keep)
        self._stored -= closing.readings
        return kept

    def _over_before(self, now: datetime) -> datetime:
        """Return a time: every bucket that begins before this time ended at least `wait` ago."""
        return self._maker.begin_of(now - self._maker.wait)

    def _room(self, more: int) -> int:
        """Return how many readings can be stored; after many new readings, count again."""
        if self._uncounted >= COUNTED_EVERY or self._stored + more > MOST_OPEN:
            self._stored = count_open(self._store, self._monitor)
            self._uncounted = 0
        return max(0, MOST_OPEN - self._stored)

    def _placed(self, row: Row) -> Row:
        begin = self._maker.begin_of(row["event_time"])
        values = self._maker.values_of(row["record"])
        name = self._maker.name_of(values)
        return {
            "entity": row["entity"],
            "record_key": f"{key_time(row['event_time'])} {name} {row['record_key']}",
            "event_time": begin,
            "record": values,
            "made_key": bucket_text((begin - _EPOCH) // _US),
        }

    def _chosen(self, buckets: Sequence[OpenBucket], finish_before: datetime) -> _Chosen:
        """Return the buckets to close; the buckets of an entity close in the order of time."""
        names: set[tuple[str, datetime]] = set()
        blocked: set[str] = set()
        count, last = 0, _EPOCH
        for one in buckets:
            begin = self._maker.begin_of(one.begin)
            if names and begin != last and count + one.readings > CLOSED_AT_ONCE:
                break
            if one.entity in blocked or one.last_received >= finish_before:
                blocked.add(one.entity)
                continue
            names.add((one.entity, one.begin))
            count, last = count + one.readings, begin
        before = last + self._maker.every
        return _Chosen(names=names, before=before, is_all=not blocked)

    def _closing(self, chosen: _Chosen, finish_before: datetime, now: datetime) -> Closing:
        collected: list[Collected] = []
        used: list[tuple[str, str]] = []
        count = 0
        for rows in open_readings(
            self._store, self._monitor, chosen.before, finish_before, READINGS_AT_ONCE
        ):
            own = [
                row
                for row in rows
                if chosen.is_all or (row["entity"], row["event_time"]) in chosen.names
            ]
            count += len(own)
            if not chosen.is_all:
                used += [(row["entity"], row["record_key"]) for row in own]
            if own:
                collected.append(
                    self._maker.collect(
                        [row["record"] for row in own],
                        [row["entity"] for row in own],
                        [time_of_key(row) for row in own],
                        now,
                    )
                )
        carried = self._maker.carry(
            [
                {"entity": row["entity"], "time": row["event_time"], **row["record"]}
                for row in (
                    carried_readings(self._store, self._monitor) if self._maker.back else ()
                )
            ]
        )
        return Closing(
            records=_rows(self._maker.make(collected, carried)),
            readings=count,
            used=used,
            all_before=chosen.before if chosen.is_all else None,
            received_before=finish_before,
            carried=self._carried(self._maker.last_readings(collected, carried)),
            carried_from=chosen.before - self._maker.back - CARRIED_FOR,
            rejected=tuple(
                Rejected(reason=NOT_A_NUMBER, record=as_text({"tag": tag, "value": example}))
                for tag, example in self._maker.words_for_numbers(collected).items()
            ),
        )

    def _carried(self, readings: pd.DataFrame) -> list[Row]:
        rows = readings.to_dict("records")
        return [
            {
                "entity": row["entity"],
                "record_key": f"{CARRIED}{row['tag']}",
                "event_time": _EPOCH + int(row["time"]) * _US,
                "record": {
                    "tag": str(row["tag"]),
                    "number": None if pd.isna(row["number"]) else row["number"],
                    "word": None if pd.isna(row["word"]) else row["word"],
                },
            }
            for row in rows
        ]


def records_for_looking(
    settings: ReadingsSettings, table: pd.DataFrame, roles: Roles, now: datetime
) -> tuple[pd.DataFrame, Roles]:
    """Return the records that readings make, including records of open buckets, and their roles.

    For inspection: nothing is stored. Readings that cannot be kept are left out.

    Args:
        settings: settings of the source, with `pivot` or `bucket`.
        table: readings, as the stream handed them over.
        roles: roles of the stream.
        now: the current time.
    """
    maker = BucketRecords(settings)
    found = identify(table, roles)
    readable = ~np.logical_or.reduce(list(found.unreadable.values()))
    times = [time.replace(tzinfo=UTC) for time in found.times[readable].tolist()]
    rows = [
        (maker.values_of(record), entity, time)
        for record, entity, time in zip(
            plain_records(found.values.loc[readable]),
            found.entities[readable].tolist(),
            times,
            strict=True,
        )
        if maker.problem_of(record, time, now) is None
    ]
    if not rows:
        return pd.DataFrame(columns=[TIME, KEY, ENTITY]), maker.roles
    records, entities, kept_times = map(list, zip(*rows, strict=True))
    made = maker.make([maker.collect(records, entities, kept_times, now)], maker.carry([]))
    keys = [bucket_text(begin) for begin in made["bucket"]]
    looked_at = made.drop(columns=["bucket", "entity"])
    looked_at[TIME] = looked_at[KEY] = pd.Series(keys, index=made.index)
    looked_at[ENTITY] = made["entity"]
    return looked_at, maker.roles


def _rows(made: pd.DataFrame) -> list[Row]:
    """Return records as rows for the table of kept records; missing cells are left out."""
    values: list[dict[str, Any]] = plain_records(made.drop(columns=["bucket", "entity"]))
    return [
        {
            "entity": entity,
            "record_key": bucket_text(begin),
            "event_time": _EPOCH + int(begin) * _US,
            "record": {name: value for name, value in record.items() if value is not None},
        }
        for begin, entity, record in zip(made["bucket"], made["entity"], values, strict=True)
    ]


def _as_text(row: Row) -> str:
    time = row["event_time"].isoformat()
    return as_text({**row["record"], "event_time": time, "entity": row["entity"]})
