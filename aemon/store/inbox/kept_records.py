"""The kept records of streams: stored in order of arrival, because streams cannot be read twice."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.records import Identity, Watermark
from aemon.store.bulk import Same, as_columns, write_rows
from aemon.store.inbox.rejected_records import Rejected, beyond_newest, keep_rejected
from aemon.store.inbox.stream_notes import keep_note
from aemon.store.inbox.unfinished_records import join_parts
from aemon.store.schema.junk import log_junk
from aemon.store.schema.tables import history, monitors, watermarks
from aemon.store.store import KEYS_AT_ONCE, Row, Store

REDELIVERED, CHANGED = "duplicate_key", "changed_record"
_COLUMNS = tuple(history.c[name] for name in ("id", "entity", "record_key", "event_time", "record"))
_LONGEST_ARRIVAL = 18  # digits; a longer id does not fit into every database
_EXACT, _LARGEST = 2**53, 1e308  # numbers between these limits are compared as text


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The number of new stored records, and the number of rejected records for each reason."""

    new: int
    rejected: Counter[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The data that is stored with the records of one delivery, in one transaction.

    Attributes:
        rejected: records that could not be read; the newest rejected records are kept.
        by_arrival: True if event times are times of arrival. A record that is delivered again then
            has a different event time.
        note: text about the delivery, which the stream needs after a restart.
        finish_before: None if all records are complete. Otherwise the records are parts, which are
            joined by entity and key; a joined record is finished if its first part arrived before
            this time.
    """

    rejected: Sequence[Rejected] = ()
    by_arrival: bool = False
    note: str | None = None
    finish_before: datetime | None = None


NOTHING_BESIDE = Beside()


def keep_history(
    store: Store,
    monitor: str,
    rows: Sequence[Row],
    keep: int | None,
    beside: Beside = NOTHING_BESIDE,
) -> Kept:
    """Append records of a stream to the kept records of a monitor, and drop the oldest records.

    If the monitor has a watermark, records after the watermark are not dropped.

    A record is not appended if a kept record has the same entity and key. If the values are equal,
    the record was delivered again and is only counted (`duplicate_key`). If the values differ, the
    record is stored as rejected (`changed_record`).

    Args:
        store: the store.
        monitor: name of the monitor.
        rows: `record_key`, `event_time`, `record` and optionally `entity` of each record, in order
            of arrival.
        keep: how many of the newest records to keep; None drops no record.
        beside: data that is stored in the same transaction.

    Raises:
        RefusedError: the database refuses the values; no record is appended or dropped.
        StoreError: the database fails; no record is appended or dropped.
    """
    if not rows and beside == NOTHING_BESIDE:
        return Kept(new=0, rejected=Counter())
    named = [{"entity": "", **row} for row in rows]
    with store.writing() as connection:
        take_turn(connection, monitor)
        if beside.finish_before is not None:
            named = join_parts(connection, store, monitor, named, beside.finish_before)
        new, changed = _split(
            _known(connection, monitor, named), named, by_arrival=beside.by_arrival
        )
        counts = Counter(record.reason for record in (*beside.rejected, *changed))
        counts[REDELIVERED] += len(named) - len(new) - len(changed)
        append_records(connection, monitor, new, keep)
        keep_rejected(connection, store, monitor, [*beside.rejected, *changed])
        if beside.note is not None:
            keep_note(connection, store, monitor, beside.note)
    return Kept(new=len(new), rejected=+counts)


def append_records(
    connection: sa.Connection, monitor: str, rows: Sequence[Row], keep: int | None
) -> None:
    """Append new records to the kept records of a monitor; keep only the newest `keep` records.

    If the monitor has a watermark, records after the watermark are not dropped.
    """
    if rows:
        write_rows(connection, history, {"monitor": Same(monitor, len(rows)), **as_columns(rows)})
    if keep is not None:
        _drop_oldest(connection, monitor, keep)


def take_turn(connection: sa.Connection, monitor: str) -> None:
    """Lock the row of a monitor, so that only one writer at a time appends records.

    Ids then have the same order as commits. Without the lock, a reader could read up to a newer id
    and never see a lower id that is committed later. SQLite has only one writer at a time.
    """
    row = sa.select(monitors.c.name).where(monitors.c.name == monitor)
    # FOR NO KEY UPDATE: other transactions may insert rows that refer to the monitor.
    connection.execute(row.with_for_update(key_share=True))


def _known(
    connection: sa.Connection, monitor: str, rows: Sequence[Row]
) -> dict[Identity, Mapping[Any, Any]]:
    """Return (entity, record key) -> kept record, for kept records with the keys of these rows."""
    keys = list(dict.fromkeys(row["record_key"] for row in rows))
    known: dict[Identity, Mapping[Any, Any]] = {}
    for first in range(0, len(keys), KEYS_AT_ONCE):
        some = history.c.record_key.in_(keys[first : first + KEYS_AT_ONCE])
        query = sa.select(*_COLUMNS).where(history.c.monitor == monitor, some)
        for row in connection.execute(query).mappings():
            known[row["entity"], row["record_key"]] = row
    return known


def _split(
    known: dict[Identity, Mapping[Any, Any]], rows: Sequence[Row], *, by_arrival: bool
) -> tuple[list[Row], list[Rejected]]:
    """Return (new rows, rejected rows); leave out rows that repeat an earlier row.

    A row is rejected if an earlier row has the same entity and key, but different values.
    """
    new, changed = [], []
    for row in rows:
        earlier = known.setdefault((row["entity"], row["record_key"]), row)
        if earlier is row:
            new.append(row)
        elif not _is_same(earlier, row, by_arrival=by_arrival):
            changed.append(Rejected(reason=CHANGED, record=row_as_text(row)))
    return new, changed


def _is_same(earlier: Mapping[Any, Any], row: Mapping[Any, Any], *, by_arrival: bool) -> bool:
    """Return whether two records have equal values; ignore how the database stores numbers."""
    same_time = by_arrival or earlier["event_time"] == row["event_time"]
    return same_time and bool(comparable(earlier["record"]) == comparable(row["record"]))


def comparable(value: Any) -> Any:
    """Return a value for comparison: without nulls, and with large numbers as text.

    PostgreSQL stores large floats as integers. Therefore the type of a value that is read can
    differ from the type of the written value.
    """
    match value:
        case dict():
            return {name: comparable(item) for name, item in value.items() if item is not None}
        case list():
            return [comparable(item) for item in value]
        case float() | int() if _EXACT < abs(value) < _LARGEST:
            return f"{value:.17g}"
        case _:
            return value


def row_as_text(row: Mapping[Any, Any]) -> str:
    """Return a rejected row as JSON text."""
    time = row["event_time"].isoformat()
    return json.dumps(
        {"entity": row["entity"], "record_key": row["record_key"], "event_time": time}
        | {"record": row["record"]}
    )


def _drop_oldest(connection: sa.Connection, monitor: str, keep: int) -> None:
    old = [history.c.monitor == monitor, beyond_newest(history, monitor, keep)]
    watermark = sa.select(watermarks.c.position).where(watermarks.c.monitor == monitor)
    position = connection.execute(watermark).scalar()
    if position is not None:
        arrival = arrival_at(position)
        if arrival is None:
            return  # the next scoring run repairs the position; until then, no record is dropped
        old.append(history.c.id <= arrival)
    connection.execute(sa.delete(history).where(*old))


def arrival_at(position: str) -> int | None:
    """Return the id in the position of a watermark; None if the position is not an id.

    The id of a kept record is its order of arrival.

    >>> arrival_at("12"), arrival_at("soon"), arrival_at("-1"), arrival_at("9" * 30)
    (12, None, None, None)
    """
    plain = position.isascii() and position.isdigit() and len(position) <= _LONGEST_ARRIVAL
    return int(position) if plain else None


def find_arrival(store: Store, monitor: str, mark: Watermark) -> int:
    """Return the id up to which the kept records of a monitor were read.

    The position of the watermark is this id. If aemon did not write the position, or if the
    position is after all kept records, look up the record of the watermark instead. If this record
    is not kept, return 0: all kept records are read again, and records with a verdict are
    recognised.

    Raises:
        StoreError: the database fails.
    """
    arrival = arrival_at(mark.position)
    own = history.c.monitor == monitor
    newest = sa.select(sa.func.max(history.c.id)).where(own)
    same = (history.c.record_key == mark.record_key, history.c.event_time == mark.event_time)
    with store.reading() as connection:
        last = connection.execute(newest).scalar()
        if arrival is not None and (last is None or arrival <= last):
            return arrival
        log_junk("an order of arrival", mark.position)
        return connection.execute(newest.where(*same)).scalar() or 0


def history_records(
    store: Store,
    monitor: str,
    *,
    after: int = 0,
    until: int | None = None,
    limit: int,
    newest: bool = False,
) -> list[Row]:
    """Return at most `limit` kept records of a monitor, in order of arrival.

    Args:
        store: the store.
        monitor: name of the monitor.
        after: only records with a larger id.
        until: only records up to this id; None for no limit.
        limit: the largest number of records.
        newest: True for the newest records, False for the oldest records.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*_COLUMNS)
        .where(history.c.monitor == monitor, history.c.id > after)
        .order_by(history.c.id.desc() if newest else history.c.id)
        .limit(limit)
    )
    if until is not None:
        query = query.where(history.c.id <= until)
    with store.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows[::-1] if newest else rows


def history_count(store: Store, monitor: str) -> int:
    """Return the number of kept records of a monitor.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).select_from(history).where(history.c.monitor == monitor)
    with store.reading() as connection:
        return connection.execute(query).scalar_one()
