"""The newest verdicts on records: by key, by time, or on all records of a monitor in pages."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

import sqlalchemy as sa

from aemon.store.lists.narrowing import Narrowed, narrowed
from aemon.store.queries import IS_CURRENT
from aemon.store.schema.tables import anomalies, scores
from aemon.store.store import Store

SCORE_KEY = (scores.c.event_time, scores.c.record_key, scores.c.entity)
"""The columns that order the list of verdicts."""


def flagged_exceedances(
    store: Store, monitor: str, since: datetime
) -> dict[tuple[str, str], tuple[float, int]]:
    """Return (entity, key) -> (exceedance, detector id) of flagged and suppressed records."""
    query = (
        sa.select(scores.c.entity, scores.c.record_key, scores.c.exceedance, scores.c.detector_id)
        .join(anomalies, sa.and_(*IS_CURRENT))
        .where(anomalies.c.monitor == monitor, anomalies.c.event_time >= since)
    )
    with store.reading() as connection:
        return {(entity, key): (over, by) for entity, key, over, by in connection.execute(query)}


def judged_later(
    store: Store, monitor: str, *, until: datetime, since: datetime | None
) -> set[tuple[str, str]]:
    """Return (entity, key) of the records that were first judged after `since`.

    Only records up to the event time `until` are returned. If `since` is None, the time of the
    first verdict does not matter.
    """
    query = sa.select(scores.c.entity, scores.c.record_key).where(
        scores.c.monitor == monitor, scores.c.event_time <= until, scores.c.revision == 1
    )
    if since is not None:
        query = query.where(scores.c.scored_at > since)
    with store.reading() as connection:
        return {(entity, key) for entity, key in connection.execute(query)}


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedRecord:
    """The newest verdict on one record."""

    monitor: str
    entity: str
    record_key: str
    event_time: datetime
    scored_at: datetime
    verdict: str
    score: float | None
    exceedance: float | None
    p_value: float | None
    imputed_share: float
    revision: int
    raw_score: float | None = None


def judged_records(
    store: Store, monitor: str, key: str, *, prefix: bool = False
) -> list[JudgedRecord]:
    """Return the newest verdicts on the records with this key.

    With `prefix`, return the verdicts on all records whose key begins with `key`.
    """
    same = (
        scores.c.record_key.startswith(key, autoescape=True)
        if prefix
        else scores.c.record_key == key
    )
    query = (
        sa.select(*(scores.c[name] for name in JudgedRecord.__slots__))
        .where(scores.c.monitor == monitor, same, scores.c.superseded_at.is_(None))
        .order_by(scores.c.entity, scores.c.record_key)
    )
    with store.reading() as connection:
        return [JudgedRecord(**row) for row in connection.execute(query).mappings()]


def score_rows(
    store: Store,
    monitor: str,
    *,
    limit: int,
    verdicts: Collection[str] | None = None,
    **wanted: Unpack[Narrowed],
) -> list[JudgedRecord]:
    """Return the newest verdict on each of at most `limit` records, newest record first.

    Args:
        store: the store.
        monitor: name of the monitor.
        limit: the largest number of records.
        verdicts: only records with one of these verdicts; None for all verdicts.
        wanted: more conditions; the times are event times.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(scores.c[name] for name in JudgedRecord.__slots__))
        .where(
            scores.c.monitor == monitor,
            scores.c.superseded_at.is_(None),
            *narrowed(scores, SCORE_KEY, wanted),
        )
        .order_by(*(column.desc() for column in SCORE_KEY))
        .limit(limit)
    )
    if verdicts is not None:
        query = query.where(scores.c.verdict.in_(verdicts))
    with store.reading() as connection:
        return [JudgedRecord(**row) for row in connection.execute(query).mappings()]
