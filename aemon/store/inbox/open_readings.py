"""Stored readings of streams whose time buckets are still open; each bucket becomes a record.

Each reading is a row of `unfinished_records`: `event_time` is the beginning of the bucket, `record`
has the values as they arrived, and `record_key` begins with the time of the reading. A carried
reading is the last reading of a tag in the closed buckets. Later records need carried readings, to
compute the increase of a counter or to hold a value. The `event_time` of a carried reading is its
own time.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from aemon.errors import StoreError
from aemon.records import Identity
from aemon.store.bulk import Same, as_columns, write_rows
from aemon.store.inbox.kept_records import (
    CHANGED,
    REDELIVERED,
    Beside,
    Kept,
    append_records,
    comparable,
    row_as_text,
    take_turn,
)
from aemon.store.inbox.rejected_records import Rejected, keep_rejected
from aemon.store.inbox.stream_notes import keep_note
from aemon.store.schema.tables import history, unfinished_records
from aemon.store.store import KEYS_AT_ONCE, Row, Store

TOO_LATE = "too_late"
CARRIED = "last "
"""The beginning of a carried reading's `record_key`; this text sorts after all times."""

_TABLE = unfinished_records.c
_NAMES = ("entity", "record_key", "event_time", "record")
_TIME_LENGTH = len("2026-03-01T10:00:00.000000")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBucket:
    """The readings of one entity in one bucket that is still open.

    Attributes:
        entity: the entity; empty if the source has no entities.
        begin: beginning of the bucket.
        readings: number of readings.
        last_received: when the last of these readings arrived.
    """

    entity: str
    begin: datetime
    readings: int
    last_received: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """The changes that close some buckets; one transaction stores all these changes.

    Attributes:
        records: the records of the closed buckets, as rows of `history`.
        readings: number of the readings in the closed buckets.
        used: (entity, record_key) of these readings; empty if `all_before` says which they are.
        all_before: a time, if the closed buckets have all readings that `open_readings` yields
            before this time; otherwise None.
        received_before: all readings of the closed buckets arrived before this time.
        carried: new carried readings; they replace carried readings with equal entity and key.
        carried_from: carried readings whose own time is before this time are deleted.
        rejected: readings that the records do not contain.
    """

    records: Sequence[Row]
    readings: int
    used: Sequence[Identity]
    all_before: datetime | None
    received_before: datetime
    carried: Sequence[Row]
    carried_from: datetime
    rejected: Sequence[Rejected] = ()


def key_time(time: datetime) -> str:
    """Return a time as text, with which a reading's `record_key` begins; texts sort by time."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def time_of_key(row: Row) -> datetime:
    """Return the time of a stored reading; for a part of a record, return the record's time."""
    try:
        time = datetime.fromisoformat(row["record_key"][:_TIME_LENGTH])
    except ValueError:
        found: datetime = row["event_time"]
        return found
    return time.replace(tzinfo=UTC)


def keep_readings(
    store: Store, monitor: str, rows: Sequence[Row], beside: Beside, closed_before: datetime
) -> Kept:
    """Store readings of open buckets; return the numbers of stored and of rejected readings.

    A reading that is delivered again is only counted (`duplicate_key`). A reading is rejected if a
    stored reading has the same entity and key but other values (`changed_record`), or if its bucket
    already has a record (`too_late`).

    Args:
        store: the store.
        monitor: name of the monitor.
        rows: readings in order of arrival: entity, record_key, event_time (beginning of the
            bucket), record, and made_key, the key of the bucket's record.
        beside: data that is stored in the same transaction.
        closed_before: a bucket that begins before this time may already have a record.

    Raises:
        RefusedError: the database refuses the values; nothing is stored.
        StoreError: the database fails; nothing is stored.
    """
    counts = Counter(one.reason for one in beside.rejected)
    rejected = list(beside.rejected)
    with store.writing() as connection:
        take_turn(connection, monitor)
        keys = {row["record_key"] for row in rows}
        known = dict(_found(connection, unfinished_records, monitor, keys, "record"))
        old = {row["made_key"] for row in rows if row["event_time"] < closed_before}
        made = set(dict(_found(connection, history, monitor, old, "record_key")))
        new: dict[Identity, Row] = {}
        for row in rows:
            name = (row["entity"], row["record_key"])
            if (row["entity"], row["made_key"]) in made:
                rejected.append(Rejected(reason=TOO_LATE, record=row_as_text(row)))
                counts[TOO_LATE] += 1
            elif known.setdefault(name, row["record"]) is row["record"]:
                new[name] = {key: row[key] for key in _NAMES}
            elif comparable(known[name]) == comparable(row["record"]):
                counts[REDELIVERED] += 1
            else:
                rejected.append(Rejected(reason=CHANGED, record=row_as_text(row)))
                counts[CHANGED] += 1
        _insert(connection, store, monitor, list(new.values()))
        keep_rejected(connection, store, monitor, rejected)
        if beside.note is not None:
            keep_note(connection, store, monitor, beside.note)
    return Kept(new=len(new), rejected=+counts)


def count_open(store: Store, monitor: str) -> int:
    """Return the number of stored readings, including carried readings.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).select_from(unfinished_records)
    with store.reading() as connection:
        return connection.execute(query.where(_TABLE.monitor == monitor)).scalar_one()


def open_buckets(store: Store, monitor: str, before: datetime) -> list[OpenBucket]:
    """Return the buckets that have readings before a time, sorted by beginning and entity.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(
            _TABLE.entity, _TABLE.event_time, sa.func.count(), sa.func.max(_TABLE.received_at)
        )
        .where(_TABLE.monitor == monitor, _TABLE.record_key < key_time(before))
        .group_by(_TABLE.entity, _TABLE.event_time)
        .order_by(_TABLE.event_time, _TABLE.entity)
    )
    with store.reading() as connection:
        return [
            OpenBucket(entity=entity, begin=begin, readings=count, last_received=received)
            for entity, begin, count, received in connection.execute(query)
        ]


def open_readings(
    store: Store, monitor: str, before: datetime, received_before: datetime, at_once: int
) -> Iterator[list[Row]]:
    """Yield stored readings, at most `at_once` at a time, in order of time.

    Args:
        store: the store.
        monitor: name of the monitor.
        before: only readings whose time is before this time.
        received_before: only readings that arrived before this time.
        at_once: the largest number of readings in a list.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(_TABLE[name] for name in _NAMES))
        .where(*_arrived(monitor, before, received_before))
        .order_by(_TABLE.record_key, _TABLE.entity)
        .limit(at_once)
    )
    after: sa.ColumnElement[bool] | None = None
    rows: list[Row] = []
    while after is None or len(rows) == at_once:
        with store.reading() as connection:
            some = query if after is None else query.where(after)
            rows = [dict(zip(_NAMES, row, strict=True)) for row in connection.execute(some)]
        if not rows:
            return
        yield rows
        key, entity = rows[-1]["record_key"], rows[-1]["entity"]
        after = sa.or_(
            _TABLE.record_key > key, sa.and_(_TABLE.record_key == key, _TABLE.entity > entity)
        )


def carried_readings(store: Store, monitor: str) -> list[Row]:
    """Return the carried readings of a monitor.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(*(_TABLE[name] for name in _NAMES)).where(
        _TABLE.monitor == monitor, _TABLE.record_key >= CARRIED
    )
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def close_buckets(store: Store, monitor: str, closing: Closing, keep: int | None) -> Kept:
    """Append the records of closed buckets to the kept records, and remove the used readings.

    A record is rejected (`too_late`) if a kept record has the same entity and key: the readings of
    the rejected record arrived while the kept record was made.

    Args:
        store: the store.
        monitor: name of the monitor.
        closing: the records and their readings.
        keep: how many of the newest records to keep; None drops no record.

    Raises:
        RefusedError: the database refuses a record; nothing is changed.
        StoreError: the database fails, or the readings changed meanwhile; nothing is changed.
    """
    with store.writing() as connection:
        take_turn(connection, monitor)
        removed = _remove(connection, monitor, closing)
        if removed != closing.readings:
            raise StoreError(
                f"{monitor}: {closing.readings} readings were read to make records, but the "
                f"store now has {removed} of these readings",
                todo="aemon tries again",
            )
        keys = {row["record_key"] for row in closing.records}
        made = set(dict(_found(connection, history, monitor, keys, "record_key")))
        late = [row for row in closing.records if (row["entity"], row["record_key"]) in made]
        rejected = [
            *closing.rejected,
            *(Rejected(reason=TOO_LATE, record=row_as_text(row)) for row in late),
        ]
        new = [row for row in closing.records if (row["entity"], row["record_key"]) not in made]
        append_records(connection, monitor, new, keep)
        _carry(connection, store, monitor, closing)
        keep_rejected(connection, store, monitor, rejected)
    return Kept(new=len(new), rejected=Counter(one.reason for one in rejected))


def _found(
    connection: sa.Connection, table: sa.Table, monitor: str, keys: set[str], value: str
) -> Iterator[tuple[Identity, Any]]:
    """Yield ((entity, record_key), value of one column) of each row with one of these keys."""
    ordered = sorted(keys)
    columns = (table.c.entity, table.c.record_key, table.c[value].label("value"))
    for first in range(0, len(ordered), KEYS_AT_ONCE):
        some = table.c.record_key.in_(ordered[first : first + KEYS_AT_ONCE])
        query = sa.select(*columns).where(table.c.monitor == monitor, some)
        for row in connection.execute(query):
            yield (row.entity, row.record_key), row.value


def _insert(connection: sa.Connection, store: Store, monitor: str, rows: Sequence[Row]) -> None:
    if rows:
        same = {"monitor": monitor, "received_at": store.now()}
        columns = {name: Same(value, len(rows)) for name, value in same.items()}
        write_rows(connection, unfinished_records, {**columns, **as_columns(rows)})


def _arrived(
    monitor: str, before: datetime, received_before: datetime
) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions for readings whose time and arrival are before the given times."""
    return (
        _TABLE.monitor == monitor,
        _TABLE.record_key < key_time(before),
        _TABLE.received_at < received_before,
    )


def _remove(connection: sa.Connection, monitor: str, closing: Closing) -> int:
    """Delete the used readings; return the number of deleted readings."""
    if closing.all_before is not None:
        chosen = _arrived(monitor, closing.all_before, closing.received_before)
        return connection.execute(sa.delete(unfinished_records).where(*chosen)).rowcount
    return _delete(connection, monitor, closing.used)


def _carry(connection: sa.Connection, store: Store, monitor: str, closing: Closing) -> None:
    """Store the new carried readings, and delete carried readings that no later record needs."""
    names = [(row["entity"], row["record_key"]) for row in closing.carried]
    _delete(connection, monitor, names)
    _insert(connection, store, monitor, closing.carried)
    connection.execute(
        sa.delete(unfinished_records).where(
            _TABLE.monitor == monitor,
            _TABLE.record_key >= CARRIED,
            _TABLE.event_time < closing.carried_from,
        )
    )


def _delete(connection: sa.Connection, monitor: str, names: Sequence[Identity]) -> int:
    if not names:
        return 0
    statement = sa.delete(unfinished_records).where(
        _TABLE.monitor == monitor,
        _TABLE.entity == sa.bindparam("of_entity"),
        _TABLE.record_key == sa.bindparam("of_key"),
    )
    done = connection.execute(
        statement, [{"of_entity": entity, "of_key": key} for entity, key in names]
    )
    return done.rowcount
