"""Removes the weights, the computed thresholds and the trials of retired detectors."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from aemon.store.schema.tables import artifacts, detectors, thresholds, trial_verdicts, trials
from aemon.store.store import Store
from aemon.store.succession import take_turns

ARTIFACTS_AT_ONCE = 50  # in one transaction; artifacts are large


def remove_artifacts(store: Store, monitor: str, old: sa.ColumnElement[bool]) -> Iterator[int]:
    """Remove artifacts (weights, thresholds) of old detectors; yield the number in each commit.

    Args:
        store: the store.
        monitor: name of the monitor.
        old: condition on the detectors whose artifacts are removed.
    """
    query = sa.select(detectors.c.id, detectors.c.artifact_sha256)
    query = query.where(old).order_by(detectors.c.id).limit(ARTIFACTS_AT_ONCE)
    in_use = sa.or_(
        sa.exists().where(detectors.c.artifact_sha256 == artifacts.c.sha256),
        sa.exists().where(thresholds.c.artifact_sha256 == artifacts.c.sha256),
    )
    while True:
        with store.writing() as connection:
            # Without this lock, a detector that is being made active could lose its artifact.
            take_turns(connection, monitor)
            found = connection.execute(query).all()
            if not found:
                return
            ids = [detector_id for detector_id, _ in found]
            computed = sa.and_(
                thresholds.c.detector_id.in_(ids), thresholds.c.artifact_sha256.is_not(None)
            )
            moved = connection.execute(sa.select(thresholds.c.artifact_sha256).where(computed))
            hashes = {sha256 for _, sha256 in found} | set(moved.scalars())
            for table, own in ((detectors, detectors.c.id.in_(ids)), (thresholds, computed)):
                connection.execute(sa.update(table).where(own).values(artifact_sha256=None))
            unused = sa.delete(artifacts).where(artifacts.c.sha256.in_(hashes - {None}), ~in_use)
            removed = connection.execute(unused).rowcount
        yield removed


def remove_trials(store: Store, old: sa.ColumnElement[bool]) -> Iterator[int]:
    """Remove the trials of old detectors with the trial verdicts; yield 1 for each removed trial.

    Args:
        store: the store.
        old: condition on the detectors whose trials are removed.
    """
    query = sa.select(detectors.c.id).where(old).order_by(detectors.c.id).limit(1)
    while True:
        with store.writing() as connection:
            found = connection.execute(query).scalar()
            if found is None:
                return
            for table in (trial_verdicts, trials):
                connection.execute(sa.delete(table).where(table.c.detector_id == found))
        yield 1


def unused_artifacts(monitor: str, old: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return a query that counts the artifacts of a monitor that only old detectors use.

    An artifact that several detectors use counts for the monitor of the newest of these detectors.

    Args:
        monitor: name of the monitor.
        old: condition that a detector, of any monitor, no longer needs its artifacts.
    """
    own = sa.select(detectors.c.id).where(detectors.c.monitor == monitor)
    kept = sa.case((old, 0), else_=1).label("kept")
    used = sa.union_all(
        sa.select(detectors.c.artifact_sha256, detectors.c.id, kept),
        sa.select(thresholds.c.artifact_sha256, detectors.c.id, kept).join(
            detectors, thresholds.c.detector_id == detectors.c.id
        ),
    ).subquery()
    shas = (
        sa.select(used.c.artifact_sha256)
        .where(used.c.artifact_sha256.is_not(None))
        .group_by(used.c.artifact_sha256)
        .having(sa.func.sum(used.c.kept) == 0, sa.func.max(used.c.id).in_(own))
    )
    return sa.select(sa.func.count()).select_from(shas.subquery())
