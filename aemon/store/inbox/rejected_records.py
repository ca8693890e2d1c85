"""The newest rejected records of each monitor, stored so that a person can look at them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aemon.store.schema.tables import rejected_records
from aemon.store.store import Store

MOST_REJECTED = 1_000  # rejected records that are kept for a monitor
LONGEST_REJECTED = 10_000  # characters that are kept of one record


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A record that cannot be kept: the reason, and the record as JSON text."""

    reason: str
    record: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedRecord:
    """A rejected record, as stored.

    Attributes:
        id: number of the record, in order of arrival.
        monitor: name of the monitor that the record was sent to.
        received_at: when the record was rejected, in UTC.
        reason: why the record was rejected, such as `no_time`.
        record: text of the record, at most `LONGEST_REJECTED` characters.
    """

    id: int
    monitor: str
    received_at: datetime
    reason: str
    record: str


def newest_rejected(
    store: Store, monitors: Collection[str], limit: int, since: datetime | None = None
) -> list[RejectedRecord]:
    """Return at most `limit` rejected records of these monitors, newest first.

    With `since`, leave out records that were rejected before this time.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(rejected_records.c[name] for name in RejectedRecord.__slots__))
        .where(rejected_records.c.monitor.in_(monitors))
        .order_by(rejected_records.c.id.desc())
        .limit(limit)
    )
    if since is not None:
        query = query.where(rejected_records.c.received_at >= since)
    with store.reading() as connection:
        return [RejectedRecord(**row) for row in connection.execute(query).mappings()]


def keep_rejected(
    connection: sa.Connection, store: Store, monitor: str, rejected: Sequence[Rejected]
) -> None:
    """Store rejected records of a monitor; keep only its newest `MOST_REJECTED` records."""
    if not rejected:
        return
    now = store.now()
    rows = [
        {
            "monitor": monitor,
            "received_at": now,
            "reason": record.reason,
            "record": record.record[:LONGEST_REJECTED],
        }
        for record in rejected[-MOST_REJECTED:]
    ]
    connection.execute(sa.insert(rejected_records), rows)
    connection.execute(
        sa.delete(rejected_records).where(
            rejected_records.c.monitor == monitor,
            beyond_newest(rejected_records, monitor, MOST_REJECTED),
        )
    )


def beyond_newest(table: sa.Table, monitor: str, keep: int) -> sa.ColumnElement[bool]:
    """Return the condition that a row is older than the newest `keep` rows of a monitor, by id."""
    ids = sa.select(table.c.id).where(table.c.monitor == monitor).order_by(table.c.id.desc())
    return table.c.id <= ids.offset(keep).limit(1).scalar_subquery()
