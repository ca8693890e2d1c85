"""The detectors of many monitors in pages, and the thresholds and counts of one detector."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.records import Job
from aemon.store.keysets import is_behind
from aemon.store.lists.narrowing import of_monitors
from aemon.store.queries import Flagged
from aemon.store.schema.tables import detectors, runs, thresholds
from aemon.store.store import Store

DETECTOR_KEY = (detectors.c.monitor, detectors.c.version)
"""The columns that order the list of detectors, ascending."""


def detector_list(
    store: Store,
    monitors: Collection[str],
    names: Collection[str],
    *,
    limit: int,
    states: Collection[str] | None = None,
    after: tuple[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Return at most `limit` detectors with their newest thresholds, by monitor and version.

    Args:
        store: the store.
        monitors: names of the monitors.
        names: names of the columns to return: columns of `detectors`, or `threshold`, or
            `false_alarm_rate`.
        limit: the largest number of detectors.
        states: only detectors in one of these states; None for all states.
        after: (monitor, version) of a detector; only detectors after this detector in the list.

    Raises:
        StoreError: the database fails.
    """
    columns = {
        **{column.name: column for column in detectors.c},
        "threshold": thresholds.c.value.label("threshold"),
        "false_alarm_rate": thresholds.c.false_alarm_rate,
    }
    newest = (
        sa.select(sa.func.max(thresholds.c.id))
        .where(thresholds.c.detector_id == detectors.c.id)
        .correlate(detectors)
        .scalar_subquery()
    )
    query = (
        sa.select(*(columns[name] for name in names))
        .join(thresholds, thresholds.c.id == newest)
        .where(of_monitors(detectors.c.monitor, monitors))
        .order_by(*DETECTOR_KEY)
        .limit(limit)
    )
    if states is not None:
        query = query.where(detectors.c.state.in_(states))
    if after is not None:
        query = query.where(is_behind(DETECTOR_KEY, after))
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdRow:
    """A threshold of a detector; it was in use until a later threshold was computed.

    Attributes:
        value: a record is anomalous if its score is above this value.
        method: how the threshold was computed.
        false_alarm_rate: target rate of the threshold.
        calibration_records: number of held-out normal records that the threshold was computed
            from.
        reason: why the threshold was computed.
    """

    id: int
    value: float
    method: str
    false_alarm_rate: float
    calibration_records: int
    created_at: datetime
    reason: str


def threshold_rows(store: Store, detector_id: int) -> list[ThresholdRow]:
    """Return the thresholds of a detector, oldest first.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(thresholds.c[name] for name in ThresholdRow.__slots__))
        .where(thresholds.c.detector_id == detector_id)
        .order_by(thresholds.c.id)
    )
    with store.reading() as connection:
        return [ThresholdRow(**row) for row in connection.execute(query).mappings()]


def judged_by(store: Store, monitor: str, detector_id: int, since: datetime) -> Flagged:
    """Return how many records a detector judged and flagged in runs since `since`, by the ledger.

    Raises:
        StoreError: the database fails.
    """
    judged = (
        runs.c.records_scored + runs.c.records_revised - runs.c.records_absent - runs.c.records_idle
    )
    query = sa.select(sa.func.sum(judged), sa.func.sum(runs.c.anomalies)).where(
        runs.c.monitor == monitor,
        runs.c.job == Job.SCORE,
        runs.c.started_at >= since,
        runs.c.detector_id == detector_id,
    )
    with store.reading() as connection:
        records, flagged = connection.execute(query).one()
    return Flagged(judged=int(records or 0), flagged=int(flagged or 0))
