"""Records of streams, which cannot be read twice: kept in order of arrival, for all later use."""

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
_LONGEST_ARRIVAL = 18  # digits of a number that every database accepts
_EXACT, _LARGEST = 2**53, 1e308  # in between, whole numbers and floats are compared as equal


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The number of records that are new in the store, and of rejected records by reason."""

    new: int
    rejected: Counter[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The data that is stored with the records of one delivery, in one transaction.

    Attributes:
        rejected: records that could not be read; the newest of them are kept.
        by_arrival: event times are times of arrival, which differ if a record is delivered again.
        note: what the stream must remember of the delivery after a restart.
        finish_before: the records are parts, joined by entity and key. A joined record is finished
            if its first part arrived before this time. None: all records are complete.
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
    """Append records to a monitor's history and drop all but the newest `keep` (None: none).

    Once there is a watermark, no record after it is dropped. A record with a known entity and key
    is not kept. With equal values it was delivered again, and is only counted (`duplicate_key`);
    with other values it is stored as rejected (`changed_record`).

    Args:
        store: the store.
        monitor: name of the monitor.
        rows: `record_key`, `event_time`, `record` and optionally `entity` of each, as they arrived.
        keep: how many records to keep.
        beside: data that is stored in the same transaction.

    Raises:
        RefusedError: the database refuses the values; nothing is then kept or dropped.
        StoreError: the database fails; nothing is then kept or dropped.
    """
    if not rows and beside == NOTHING_BESIDE:
        return Kept(new=0, rejected=Counter())
    named = [{"entity": "", **row} for row in rows]
    with store.writing() as connection:
        _take_turn(connection, monitor)
        if beside.finish_before is not None:
            named = join_parts(connection, store, monitor, named, beside.finish_before)
        new, changed = _split(
            _known(connection, monitor, named), named, by_arrival=beside.by_arrival
        )
        counts = Counter(record.reason for record in (*beside.rejected, *changed))
        counts[REDELIVERED] += len(named) - len(new) - len(changed)
        if new:
            write_rows(connection, history, {"monitor": Same(monitor, len(new)), **as_columns(new)})
        keep_rejected(connection, store, monitor, [*beside.rejected, *changed])
        if beside.note is not None:
            keep_note(connection, store, monitor, beside.note)
        if keep is not None:
            _drop_oldest(connection, monitor, keep)
    return Kept(new=len(new), rejected=+counts)


def _take_turn(connection: sa.Connection, monitor: str) -> None:
    """Let the writers of one history take turns, so that the order of ids is that of commits.

    Otherwise a reader could pass an id that is committed later. SQLite has one writer at a time.
    """
    row = sa.select(monitors.c.name).where(monitors.c.name == monitor)
    # FOR NO KEY UPDATE: rows of other tables may still refer to the monitor.
    connection.execute(row.with_for_update(key_share=True))


def _known(
    connection: sa.Connection, monitor: str, rows: Sequence[Row]
) -> dict[Identity, Mapping[Any, Any]]:
    """Return the kept records that have the keys of these rows."""
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
    """Return the new rows, and the rows that change an earlier row; repeated rows are left out."""
    new, changed = [], []
    for row in rows:
        earlier = known.setdefault((row["entity"], row["record_key"]), row)
        if earlier is row:
            new.append(row)
        elif not _is_same(earlier, row, by_arrival=by_arrival):
            changed.append(Rejected(reason=CHANGED, record=_as_text(row)))
    return new, changed


def _is_same(earlier: Mapping[Any, Any], row: Mapping[Any, Any], *, by_arrival: bool) -> bool:
    """Return whether two records have equal values, however a database stores them."""
    same_time = by_arrival or earlier["event_time"] == row["event_time"]
    return same_time and bool(_comparable(earlier["record"]) == _comparable(row["record"]))


def _comparable(value: Any) -> Any:
    """Return a value for comparison, without nulls; PostgreSQL writes large floats as integers."""
    match value:
        case dict():
            return {name: _comparable(item) for name, item in value.items() if item is not None}
        case list():
            return [_comparable(item) for item in value]
        case float() | int() if _EXACT < abs(value) < _LARGEST:
            return f"{value:.17g}"
        case _:
            return value


def _as_text(row: Mapping[Any, Any]) -> str:
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
            return  # the next scoring run finds out how far was read; until then all is kept
        old.append(history.c.id <= arrival)
    connection.execute(sa.delete(history).where(*old))


def arrival_at(position: str) -> int | None:
    """Return the order of arrival in a watermark's position; None if it is not a number of it.

    >>> arrival_at("12"), arrival_at("soon"), arrival_at("-1"), arrival_at("9" * 30)
    (12, None, None, None)
    """
    plain = position.isascii() and position.isdigit() and len(position) <= _LONGEST_ARRIVAL
    return int(position) if plain else None


def find_arrival(store: Store, monitor: str, mark: Watermark) -> int:
    """Return up to which id a monitor's history was read: by the watermark's position or record.

    A position that aemon did not write, or after all kept records, is ignored. Without the
    watermark's record, all kept records are read again, and recognised by their verdicts.

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
    """Return kept records in order of arrival: the first `limit` after an id, or the newest.

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
    """Return how many records a monitor's history keeps.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).select_from(history).where(history.c.monitor == monitor)
    with store.reading() as connection:
        return connection.execute(query).scalar_one()
