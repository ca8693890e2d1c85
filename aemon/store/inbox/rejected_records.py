"""Records of streams that could not be kept: there to be looked at, the newest of every monitor."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from aemon.store.schema.tables import rejected_records
from aemon.store.store import Store

MOST_REJECTED = 1_000  # kept of a monitor
LONGEST_REJECTED = 10_000  # characters of one record


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A record that cannot be kept: why, and what it is as JSON text."""

    reason: str
    record: str


def keep_rejected(
    connection: sa.Connection, store: Store, monitor: str, rejected: Sequence[Rejected]
) -> None:
    """Append the newest of these records, and drop all but the newest of the monitor."""
    if not rejected:
        return
    now = store.now()
    rows = [
        {
            "monitor": monitor,
            "received_at": now,
            "reason": one.reason,
            "record": one.record[:LONGEST_REJECTED],
        }
        for one in rejected[-MOST_REJECTED:]
    ]
    connection.execute(sa.insert(rejected_records), rows)
    connection.execute(
        sa.delete(rejected_records).where(
            rejected_records.c.monitor == monitor,
            beyond_newest(rejected_records, monitor, MOST_REJECTED),
        )
    )


def beyond_newest(table: sa.Table, monitor: str, keep: int) -> sa.ColumnElement[bool]:
    """Return the condition that a monitor's row is older than its newest `keep`, by its id."""
    ids = sa.select(table.c.id).where(table.c.monitor == monitor).order_by(table.c.id.desc())
    return table.c.id <= ids.offset(keep).limit(1).scalar_subquery()
