"""What people say of records, by INSERT or by command: read for training, in SQL's own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import FeedbackVerdict, Identity
from aemon.store.schema.junk import tell_junk
from aemon.store.schema.tables import anomalies, contributions, feedback, scores
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
    known = frozenset(FeedbackVerdict)
    for row in rows:
        if row["verdict"] not in known:
            tell_junk("a verdict of feedback", row["verdict"])
    return [
        Feedback(**{**row, "verdict": FeedbackVerdict(row["verdict"])})
        for row in rows
        if row["verdict"] in known
    ]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class BlamedCell:
    """One column's part in a flagged record: numbers, where it holds some, or texts."""

    rank: int
    column: str
    observed: float | str | None
    expected: float | str | None
    error: float
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SpokenOf:
    """A flagged record, the last word on it, and the columns to blame, the first one first."""

    entity: str
    record_key: str
    verdict: FeedbackVerdict
    blamed: tuple[BlamedCell, ...]


def spoken_of(connection: sa.Connection, monitor: str) -> list[SpokenOf]:
    """Return the flagged records that were called false alarms, or confirmed, the last word each.

    Raises:
        StoreError: the database fails.
    """
    said = sa.select(feedback.c.record_key, feedback.c.entity, feedback.c.verdict).where(
        feedback.c.monitor == monitor,
        feedback.c.record_key.is_not(None),
        feedback.c.verdict.in_([FeedbackVerdict.FALSE_ALARM, FeedbackVerdict.CONFIRMED]),
    )
    last = {
        (key, entity): verdict
        for key, entity, verdict in connection.execute(said.order_by(feedback.c.id))
    }
    blamed = blamed_cells(connection, monitor, sorted({key for key, _ in last}))
    return [
        SpokenOf(entity=entity, record_key=key, verdict=FeedbackVerdict(verdict), blamed=cells)
        for (entity, key), cells in blamed.items()
        if (verdict := last.get((key, entity), last.get((key, None)))) is not None
    ]


def blamed_cells(
    connection: sa.Connection, monitor: str, keys: Sequence[str]
) -> dict[Identity, tuple[BlamedCell, ...]]:
    """Return the columns to blame for flagged records of these keys, by their last verdicts."""
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
