"""Snoozes (periods in which anomalies are suppressed), and the judged records of a period."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aemon.records import Identity, Snooze, Verdict
from aemon.store.schema.tables import scores, snoozes
from aemon.store.store import KEYS_AT_ONCE, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSnooze:
    """A stored snooze: a period in which anomalies of a monitor or entity are suppressed."""

    id: int
    monitor: str
    entity: str | None
    since: datetime
    until: datetime
    note: str
    created_at: datetime
    author: str = ""


def add_snooze(store: Store, monitor: str, snooze: Snooze, note: str = "", author: str = "") -> int:
    """Store a snooze, a period in which anomalies are suppressed; return the id of the snooze.

    Raises:
        StoreError: the database fails.
    """
    row = {
        "monitor": monitor,
        "entity": snooze.entity,
        "since": snooze.since,
        "until": snooze.until,
        "note": note,
        "created_at": store.now(),
        "author": author,
    }
    with store.writing() as connection:
        made = connection.execute(sa.insert(snoozes).values(row)).inserted_primary_key
    return int(made[0]) if made else 0


def end_snooze(store: Store, number: int) -> bool:
    """End a snooze now; return False if the snooze had already ended.

    Records that are already suppressed stay suppressed.

    Raises:
        StoreError: the database fails.
    """
    now = store.now()
    end = sa.case(
        (snoozes.c.since > now, snoozes.c.since), else_=sa.literal(now, snoozes.c.until.type)
    )
    open_now = sa.and_(snoozes.c.id == number, snoozes.c.until > now)
    with store.writing() as connection:
        return connection.execute(sa.update(snoozes).where(open_now).values(until=end)).rowcount > 0


def all_snoozes(
    store: Store, monitors: Collection[str], until: datetime | None = None
) -> list[StoredSnooze]:
    """Return the snoozes of these monitors, newest first.

    With `until`, leave out snoozes that end before or at this time.
    """
    query = (
        sa.select(*(snoozes.c[name] for name in StoredSnooze.__slots__))
        .where(snoozes.c.monitor.in_(monitors))
        .order_by(snoozes.c.id.desc())
    )
    if until is not None:
        query = query.where(snoozes.c.until > until)
    with store.reading() as connection:
        return [StoredSnooze(**row) for row in connection.execute(query).mappings()]


def find_snooze(store: Store, number: int) -> StoredSnooze | None:
    """Return the snooze with an id; None if no snooze has this id.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(*(snoozes.c[name] for name in StoredSnooze.__slots__)).where(
        snoozes.c.id == number
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else StoredSnooze(**row)


def snoozes_of(
    connection: sa.Connection, monitor: str, since: datetime | None = None
) -> tuple[Snooze, ...]:
    """Return the snoozes of a monitor; with `since`, only snoozes that end after this time."""
    query = sa.select(*(snoozes.c[name] for name in ("id", "entity", "since", "until"))).where(
        snoozes.c.monitor == monitor
    )
    if since is not None:
        query = query.where(snoozes.c.until > since)
    return tuple(Snooze(**row) for row in connection.execute(query).mappings())


def records_between(
    store: Store, monitor: str, entities: Collection[str], after: datetime, until: datetime
) -> dict[Identity, datetime]:
    """Return (entity, record key) -> event time of the judged records of a period.

    Idle records are left out.

    Args:
        store: the store.
        monitor: name of the monitor.
        entities: entities of the records. If there are more than `KEYS_AT_ONCE`, records of all
            entities are returned.
        after: begin of the period, an event time that is not included.
        until: end of the period, an event time that is included.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(scores.c.entity, scores.c.record_key, scores.c.event_time).where(
        scores.c.monitor == monitor,
        scores.c.event_time > after,
        scores.c.event_time <= until,
        scores.c.superseded_at.is_(None),
        scores.c.verdict != Verdict.IDLE.value,
    )
    if len(entities) <= KEYS_AT_ONCE:
        query = query.where(scores.c.entity.in_(sorted(entities)))
    with store.reading() as connection:
        return {(entity, key): time for entity, key, time in connection.execute(query)}
