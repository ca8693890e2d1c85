"""Feedback of people on records: writing, counting, and reading for training.

People give feedback by a command, or by an SQL INSERT into table `feedback`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import FeedbackVerdict, Identity
from aemon.store.schema.junk import log_junk
from aemon.store.schema.tables import anomalies, contributions, feedback, scores
from aemon.store.store import KEYS_AT_ONCE, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """The feedback of a person on a record or on a period.

    Attributes:
        entity: entity of the record; None means all entities.
        until: end of the ignored period, an event time; only with the verdict `ignore_until`.
        event_time: event time of the record; None if the record was not judged.
        detector_id: the first detector that was trained with this feedback; None until a training
            uses the feedback.
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
    author: str = ""

    def is_about(self, entity: str, record_key: str) -> bool:
        """Return whether the feedback is about the record with this entity and key."""
        return self.record_key == record_key and self.entity in (None, entity)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAnomaly:
    """A stored flagged record, with its observed values in original units."""

    entity: str
    record_key: str
    event_time: datetime
    observed: dict[str, Any]


class About(TypedDict, total=False):
    """The record or period that feedback is about, and a note; all fields may be absent.

    Attributes:
        record_key: key of the record.
        entity: entity of the record; absent or None means all entities.
        until: end of the period to ignore, an event time.
        note: text of the person.
        author: name of the person.
    """

    record_key: str | None
    entity: str | None
    until: datetime | None
    note: str
    author: str


def add_feedback(
    store: Store, monitor: str, verdict: FeedbackVerdict, **about: Unpack[About]
) -> int:
    """Store feedback; return its id.

    Raises:
        StoreError: the database fails, or refuses the feedback, such as `ignore_until` without an
            end (`until`).
    """
    row = {
        "monitor": monitor,
        "record_key": about.get("record_key"),
        "entity": about.get("entity"),
        "verdict": verdict,
        "until": about.get("until"),
        "note": about.get("note", ""),
        "created_at": store.now(),
        "author": about.get("author", ""),
    }
    with store.writing() as connection:
        made = connection.execute(sa.insert(feedback).values(row)).inserted_primary_key
    return int(made[0]) if made else 0


def read_feedback(store: Store, monitor: str) -> list[Feedback]:
    """Return all feedback on a monitor, oldest first; only the last feedback on a record is valid.

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
    known = frozenset(FeedbackVerdict)
    for row in rows:
        if row["verdict"] not in known:
            log_junk("a verdict of feedback", row["verdict"])
    return [
        Feedback(**{**row, "verdict": FeedbackVerdict(row["verdict"])})
        for row in rows
        if row["verdict"] in known
    ]


def count_unused_feedback(store: Store, monitor: str) -> int:
    """Return how many feedback entries of a monitor are not yet used in training.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).where(
        feedback.c.monitor == monitor, feedback.c.detector_id.is_(None)
    )
    with store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def stored_anomalies(store: Store, monitor: str, keys: Sequence[str]) -> list[StoredAnomaly]:
    """Return the flagged records with these keys, as stored.

    Leave out records whose values the source has corrected after they were flagged.

    Raises:
        StoreError: the database fails.
    """
    names = ("entity", "record_key", "event_time", "observed")
    same = sa.and_(
        *(scores.c[name] == anomalies.c[name] for name in ("monitor", "record_key", "entity"))
    )
    judged = scores.alias("judged")
    judged_hash = (
        sa.select(judged.c.record_hash)
        .where(
            *(judged.c[name] == anomalies.c[name] for name in ("monitor", "record_key", "entity")),
            judged.c.revision == anomalies.c.revision,
        )
        .limit(1)
        .scalar_subquery()
    )
    corrected = sa.exists().where(
        same, scores.c.revision > anomalies.c.revision, scores.c.record_hash != judged_hash
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


@dataclass(frozen=True, kw_only=True, slots=True)
class BlamedCell:
    """The contribution of one column to a flagged record; values are numbers if possible."""

    rank: int
    column: str
    observed: float | str | None
    expected: float | str | None
    error: float
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordWithFeedback:
    """A flagged record, its last feedback, and its columns by contribution, largest first."""

    entity: str
    record_key: str
    verdict: FeedbackVerdict
    blamed: tuple[BlamedCell, ...]


def records_with_feedback(connection: sa.Connection, monitor: str) -> list[RecordWithFeedback]:
    """Return the flagged records that have feedback `false_alarm` or `confirmed`.

    Raises:
        StoreError: the database fails.
    """
    given = sa.select(feedback.c.record_key, feedback.c.entity, feedback.c.verdict).where(
        feedback.c.monitor == monitor,
        feedback.c.record_key.is_not(None),
        feedback.c.verdict.in_([FeedbackVerdict.FALSE_ALARM, FeedbackVerdict.CONFIRMED]),
    )
    last = {
        (key, entity): verdict
        for key, entity, verdict in connection.execute(given.order_by(feedback.c.id))
    }
    blamed = blamed_cells(connection, monitor, sorted({key for key, _ in last}))
    return [
        RecordWithFeedback(
            entity=entity, record_key=key, verdict=FeedbackVerdict(verdict), blamed=cells
        )
        for (entity, key), cells in blamed.items()
        if (verdict := last.get((key, entity), last.get((key, None)))) is not None
    ]


def blamed_cells(
    connection: sa.Connection, monitor: str, keys: Sequence[str]
) -> dict[Identity, tuple[BlamedCell, ...]]:
    """Return (entity, record key) -> the columns that explain the newest verdict on the record."""
    found: dict[Identity, dict[int, list[BlamedCell]]] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = contributions.c.record_key.in_(keys[start : start + KEYS_AT_ONCE])
        query = (
            sa.select(contributions)
            .where(contributions.c.monitor == monitor, some)
            .order_by(contributions.c.rank)
        )
        for row in connection.execute(query).mappings():
            revisions = found.setdefault((row["entity"], row["record_key"]), {})
            revisions.setdefault(row["revision"], []).append(_blamed_cell(row))
    return {identity: tuple(revisions[max(revisions)]) for identity, revisions in found.items()}


def _blamed_cell(row: Any) -> BlamedCell:
    observed, expected = (
        row[name] if row[name] is not None else row[f"{name}_text"]
        for name in ("observed", "reconstructed")
    )
    return BlamedCell(
        rank=row["rank"],
        column=row["feature"],
        observed=observed,
        expected=expected,
        error=row["error"],
        share=row["share"],
    )
