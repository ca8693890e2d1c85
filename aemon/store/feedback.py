"""What people say of records, by INSERT or by command: read for training, in SQL's own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import FeedbackVerdict
from aemon.store.schema.tables import anomalies, feedback, scores
from aemon.store.store import KEYS_AT_ONCE, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """One thing a person said.

    Attributes:
        entity: whose record; None means all with this key, or all records of the stretch.
        until: `ignore_until`: the end of the stretch, an event time.
        event_time: of the record it is about, where that has been judged.
        detector_id: the first detector that was trained with it; None until then.
    """

    id: int
    record_key: str | None
    entity: str | None
    verdict: FeedbackVerdict
    until: datetime | None
    note: str
    created_at: datetime
    event_time: datetime | None
    detector_id: int | None

    def is_about(self, entity: str, record_key: str) -> bool:
        """Whether it names this record."""
        return self.record_key == record_key and self.entity in (None, entity)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAnomaly:
    """A flagged record as the store keeps it, in original units."""

    entity: str
    record_key: str
    event_time: datetime
    observed: dict[str, Any]


class About(TypedDict, total=False):
    """What feedback is about, and why; what is left out is not known, or holds for all.

    `record_key` names a record, `entity` whose it is; `until` ends a stretch to be ignored.
    """

    record_key: str | None
    entity: str | None
    until: datetime | None
    note: str


def add_feedback(
    store: Store, monitor: str, verdict: FeedbackVerdict, **about: Unpack[About]
) -> int:
    """Write down what a person says; its id.

    Raises:
        StoreError: the database fails or refuses, as it does an `ignore_until` without its end.
    """
    row = {
        "monitor": monitor,
        "record_key": about.get("record_key"),
        "entity": about.get("entity"),
        "verdict": verdict,
        "until": about.get("until"),
        "note": about.get("note", ""),
        "created_at": store.now(),
    }
    with store.writing() as connection:
        made = connection.execute(sa.insert(feedback).values(row)).inserted_primary_key
    return int(made[0]) if made else 0


def read_feedback(store: Store, monitor: str) -> list[Feedback]:
    """All that was said of a monitor's records, oldest first: of one record, the last counts.

    Raises:
        StoreError: the database fails.
    """
    judged = (
        sa.select(sa.func.min(scores.c.event_time))
        .where(
            scores.c.monitor == feedback.c.monitor,
            scores.c.record_key == feedback.c.record_key,
            sa.or_(feedback.c.entity.is_(None), scores.c.entity == feedback.c.entity),
            scores.c.superseded_at.is_(None),
        )
        .scalar_subquery()
        .label("event_time")
    )
    names = [name for name in Feedback.__slots__ if name != "event_time"]
    query = (
        sa.select(*(feedback.c[name] for name in names), judged)
        .where(feedback.c.monitor == monitor)
        .order_by(feedback.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [Feedback(**{**row, "verdict": FeedbackVerdict(row["verdict"])}) for row in rows]


def count_unused_feedback(store: Store, monitor: str) -> int:
    """How many things were said of a monitor's records that no training has taken up.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).where(
        feedback.c.monitor == monitor, feedback.c.detector_id.is_(None)
    )
    with store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def stored_anomalies(store: Store, monitor: str, keys: Sequence[str]) -> list[StoredAnomaly]:
    """The flagged records of these keys, but for those whose values were corrected since.

    Raises:
        StoreError: the database fails.
    """
    names = ("entity", "record_key", "event_time", "observed")
    mine = sa.and_(
        *(scores.c[name] == anomalies.c[name] for name in ("monitor", "record_key", "entity"))
    )
    its = scores.alias("its")
    its_hash = (
        sa.select(its.c.record_hash)
        .where(
            *(its.c[name] == anomalies.c[name] for name in ("monitor", "record_key", "entity")),
            its.c.revision == anomalies.c.revision,
        )
        .limit(1)
        .scalar_subquery()
    )
    corrected = sa.exists().where(
        mine, scores.c.revision > anomalies.c.revision, scores.c.record_hash != its_hash
    )
    query = (
        sa.select(*(anomalies.c[name] for name in names))
        .where(anomalies.c.monitor == monitor, ~corrected)
        .order_by(anomalies.c.revision)
    )
    found: dict[tuple[str, str], StoredAnomaly] = {}
    with store.reading() as connection:
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = query.where(anomalies.c.record_key.in_(keys[start : start + KEYS_AT_ONCE]))
            for row in connection.execute(some).mappings():
                found[row["entity"], row["record_key"]] = StoredAnomaly(**row)
    return list(found.values())
