"""Lists ordered by number: feedback, snoozes and rejected records, newest first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

import sqlalchemy as sa

from aemon.store.inbox.rejected_records import RejectedRecord
from aemon.store.lists.narrowing import Narrowed, narrowed, of_monitors
from aemon.store.schema.tables import feedback, rejected_records, snoozes
from aemon.store.snoozes import StoredSnooze
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackRow:
    """The feedback of a person on a record or on a period.

    Attributes:
        record_key: key of the record; None for a period.
        entity: entity of the record; None means all entities.
        verdict: false_alarm, confirmed or ignore_until.
        until: end of the ignored period; only with `ignore_until`.
        detector_id: the first detector that was trained with this feedback; None until a training
            uses the feedback.
    """

    id: int
    monitor: str
    record_key: str | None
    entity: str | None
    verdict: str
    until: datetime | None
    note: str
    created_at: datetime
    detector_id: int | None
    author: str


def feedback_rows(
    store: Store,
    monitors: Collection[str],
    *,
    limit: int,
    record_key: str | None = None,
    verdicts: Collection[str] | None = None,
    **wanted: Unpack[Narrowed],
) -> list[FeedbackRow]:
    """Return at most `limit` of the feedback entries on these monitors, newest first.

    Args:
        store: the store.
        monitors: names of the monitors.
        limit: the largest number of entries.
        record_key: only feedback on records with this key; None for all feedback.
        verdicts: only feedback with one of these verdicts; None for all verdicts.
        wanted: more conditions; the times are the times at which the feedback was given.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(*(feedback.c[name] for name in FeedbackRow.__slots__)).where(
        of_monitors(feedback.c.monitor, monitors)
    )
    if record_key is not None:
        query = query.where(feedback.c.record_key == record_key)
    if verdicts is not None:
        query = query.where(feedback.c.verdict.in_(verdicts))
    query = query.where(*narrowed(feedback, (feedback.c.id,), wanted, feedback.c.created_at))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(feedback.c.id.desc()).limit(limit)).mappings()
        return [FeedbackRow(**row) for row in rows]


def snooze_rows(
    store: Store,
    monitors: Collection[str],
    *,
    limit: int,
    ends_after: datetime | None = None,
    **wanted: Unpack[Narrowed],
) -> list[StoredSnooze]:
    """Return at most `limit` of the snoozes of these monitors, newest first.

    Args:
        store: the store.
        monitors: names of the monitors.
        limit: the largest number of snoozes.
        ends_after: only snoozes that end after this time; None for all snoozes.
        wanted: more conditions; the times are the times at which the snoozes were entered.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(*(snoozes.c[name] for name in StoredSnooze.__slots__)).where(
        of_monitors(snoozes.c.monitor, monitors),
        *narrowed(snoozes, (snoozes.c.id,), wanted, snoozes.c.created_at),
    )
    if ends_after is not None:
        query = query.where(snoozes.c.until > ends_after)
    with store.reading() as connection:
        rows = connection.execute(query.order_by(snoozes.c.id.desc()).limit(limit)).mappings()
        return [StoredSnooze(**row) for row in rows]


def rejected_rows(
    store: Store, monitors: Collection[str], *, limit: int, **wanted: Unpack[Narrowed]
) -> list[RejectedRecord]:
    """Return at most `limit` of the rejected records of these monitors, newest first.

    Args:
        store: the store.
        monitors: names of the monitors.
        limit: the largest number of records.
        wanted: more conditions; the times are the times at which the records were rejected.

    Raises:
        StoreError: the database fails.
    """
    own = rejected_records
    query = sa.select(*(own.c[name] for name in RejectedRecord.__slots__)).where(
        of_monitors(own.c.monitor, monitors),
        *narrowed(own, (own.c.id,), wanted, own.c.received_at),
    )
    with store.reading() as connection:
        rows = connection.execute(query.order_by(own.c.id.desc()).limit(limit)).mappings()
        return [RejectedRecord(**row) for row in rows]
