"""The rows of the ledger, newest first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

import sqlalchemy as sa

from aemon.store.lists.narrowing import Narrowed, narrowed, of_monitors
from aemon.store.schema.tables import detectors, runs
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """A run of the ledger, with its outcome and its counts, which are columns of `runs`.

    Attributes:
        detector_version: version of the detector that judged in the run or that the run trained.
    """

    id: int
    monitor: str
    job: str
    outcome: str
    reason: str
    started_at: datetime
    finished_at: datetime
    detector_version: int | None
    records_read: int
    records_scored: int
    records_absent: int
    records_idle: int
    records_late: int
    records_revised: int
    records_reviewed: int
    records_too_late: int
    records_rejected: int
    anomalies: int
    records_suppressed: int
    cells_imputed: int


RUN_KEY = (runs.c.started_at, runs.c.id)


def run_rows(
    store: Store,
    monitors: Collection[str],
    *,
    limit: int,
    jobs: Collection[str] | None = None,
    outcomes: Collection[str] | None = None,
    **wanted: Unpack[Narrowed],
) -> list[RunRow]:
    """Return at most `limit` runs of these monitors, newest first.

    Args:
        store: the store.
        monitors: names of the monitors.
        limit: the largest number of runs.
        jobs: only runs of these jobs; None for all jobs.
        outcomes: only runs with one of these outcomes; None for all outcomes.
        wanted: more conditions; the times are the times at which the runs started.

    Raises:
        StoreError: the database fails.
    """
    names = [name for name in RunRow.__slots__ if name != "detector_version"]
    query = (
        sa.select(*(runs.c[name] for name in names), detectors.c.version.label("detector_version"))
        .outerjoin(detectors, detectors.c.id == runs.c.detector_id)
        .where(of_monitors(runs.c.monitor, monitors), *narrowed(runs, RUN_KEY, wanted))
        .order_by(*(column.desc() for column in RUN_KEY))
        .limit(limit)
    )
    if jobs is not None:
        query = query.where(runs.c.job.in_(jobs))
    if outcomes is not None:
        query = query.where(runs.c.outcome.in_(outcomes))
    with store.reading() as connection:
        return [RunRow(**row) for row in connection.execute(query).mappings()]
