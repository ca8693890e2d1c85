"""Stores thresholds that are computed after the training, and reads the scores for them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from aemon.records import Verdict
from aemon.store import artifacts
from aemon.store.detectors import StoredDetector
from aemon.store.schema.tables import artifacts as artifacts_table
from aemon.store.schema.tables import detectors, scores, thresholds
from aemon.store.store import StaleWatermarkError, Store

_COUNTED = (Verdict.NORMAL.value, Verdict.ANOMALY.value)


class JudgedScore(NamedTuple):
    """The score of a record, with the other fields that thresholds are computed from."""

    event_time: datetime
    entity: str
    score: float
    exceedance: float  # score divided by the threshold at the time of scoring


def save_thresholds(
    store: Store, stored: StoredDetector, content: bytes, columns: Mapping[str, Any], reason: str
) -> int:
    """Store new thresholds of a detector; return the id of the new threshold row.

    The artifacts of thresholds that were computed earlier are removed; the rows of these
    thresholds stay, with value and reason.

    Args:
        store: the store.
        stored: the detector, with the threshold row that is replaced.
        content: the new thresholds as an artifact.
        columns: columns of table `thresholds`: value, method, rate, calibration records.
        reason: why the thresholds were computed, in plain words.

    Raises:
        StaleWatermarkError: another daemon has computed thresholds meanwhile.
        StoreError: the database fails.
    """
    sha256, now = artifacts.digest(content), store.now()
    own = thresholds.c.detector_id == stored.id
    with store.writing() as connection:
        connection.execute(
            sa.select(detectors.c.id).where(detectors.c.id == stored.id).with_for_update()
        )
        newest = connection.execute(sa.select(sa.func.max(thresholds.c.id)).where(own)).scalar()
        if newest != stored.threshold_id:
            raise StaleWatermarkError(f"{stored.monitor}: another daemon has moved the threshold")
        row = {
            "sha256": sha256,
            "format_version": artifacts.FORMAT_VERSION,
            "content": content,
        }
        connection.execute(store.insert_or_ignore(artifacts_table), row)
        threshold = {
            "detector_id": stored.id, "created_at": now, "artifact_sha256": sha256,
            "reason": reason, **columns,
        }  # fmt: skip
        made = connection.execute(sa.insert(thresholds).values(threshold)).inserted_primary_key
        _remove_earlier(connection, own, sha256)
    return int(made[0]) if made else 0


def _remove_earlier(connection: sa.Connection, own: sa.ColumnElement[bool], kept: str) -> None:
    """Remove the artifacts of a detector's earlier thresholds, if no other row refers to them.

    Args:
        connection: connection of the transaction.
        own: condition that a row of `thresholds` belongs to the detector.
        kept: hash of the artifact to keep.
    """
    earlier = sa.and_(own, thresholds.c.artifact_sha256 != kept)
    old = set(connection.execute(sa.select(thresholds.c.artifact_sha256).where(earlier)).scalars())
    if not old:
        return
    connection.execute(sa.update(thresholds).where(earlier).values(artifact_sha256=None))
    used = sa.union_all(
        sa.select(detectors.c.artifact_sha256).where(detectors.c.artifact_sha256.in_(old)),
        sa.select(thresholds.c.artifact_sha256).where(thresholds.c.artifact_sha256.in_(old)),
    )
    free = old - set(connection.execute(used).scalars())
    connection.execute(sa.delete(artifacts_table).where(artifacts_table.c.sha256.in_(free)))


def newest_scores(store: Store, stored: StoredDetector, limit: int) -> list[JudgedScore]:
    """Return the scores of one detector among the newest `limit` judged records, oldest first.

    Raises:
        StoreError: the database fails.
    """
    # The inner query takes scores of all detectors: a search for the scores of a new detector only
    # would read all stored records.
    newest = (
        sa.select(
            *(scores.c[name] for name in JudgedScore._fields),
            scores.c.detector_id,
        )
        .where(
            scores.c.monitor == stored.monitor,
            scores.c.superseded_at.is_(None),
            scores.c.score.is_not(None),
            scores.c.verdict.in_(_COUNTED),
        )
        .order_by(scores.c.event_time.desc())
        .limit(limit)
        .subquery()
    )
    query = (
        sa.select(*(newest.c[name] for name in JudgedScore._fields))
        .where(newest.c.detector_id == stored.id)
        .order_by(newest.c.event_time.desc())
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [JudgedScore(*row) for row in reversed(rows)]
