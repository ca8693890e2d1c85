"""The ledger: a row in `runs` for every tick, begun by its first commit and finished at its end."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.frame import printable
from aemon.records import Outcome, RunReport
from aemon.store.store import Store
from aemon.store.tables import runs

_COUNTS = (
    "records_read", "records_scored", "records_absent", "records_late", "records_revised",
    "records_reviewed", "records_too_late", "records_rejected", "anomalies",
    "records_suppressed", "cells_imputed",
)  # fmt: skip
_JUDGES = ("detector_id", "threshold_id")
_WHAT = ("monitor", "job", "outcome", "reason", "started_at", "finished_at")


def note_progress(connection: sa.Connection, run_id: int | None, report: RunReport) -> int:
    """Write what a run has done so far, in the transaction that does it; the run's id.

    A run that is killed afterwards stays `running` in the ledger, with its true counts.
    """
    if run_id is None:
        return _insert(connection, report, Outcome.RUNNING)
    values = {"finished_at": report.finished_at, **_counted(report)}
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))
    return run_id


def save_run(store: Store, report: RunReport, run_id: int | None = None) -> None:
    """Write how a run ended: into the row that its first commit began, if it made one.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        if run_id is None:
            _insert(connection, report, report.outcome)
            return
        # A commit that was given up may have come through after all: counts never go back.
        counts = {
            name: sa.case((runs.c[name] > value, runs.c[name]), else_=value)
            for name, value in _counted(report).items()
        }
        ended = {
            "outcome": report.outcome,
            "reason": printable(report.reason),
            "finished_at": report.finished_at,
        }
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values({**ended, **counts}))


def end_lost_runs(store: Store, monitor: str, begun_before: datetime) -> int:
    """Call runs abandoned that have neither ended nor can still be going; how many there were.

    Raises:
        StoreError: the database fails.
    """
    lost = (
        sa.update(runs)
        .where(
            runs.c.monitor == monitor,
            runs.c.outcome == Outcome.RUNNING,
            runs.c.started_at < begun_before,
        )
        .values(outcome=Outcome.ABANDONED, reason="aemon ended before this run did")
    )
    with store.writing() as connection:
        return connection.execute(lost).rowcount


def _insert(connection: sa.Connection, report: RunReport, outcome: Outcome) -> int:
    values: dict[str, Any] = {name: getattr(report, name) for name in (*_WHAT, *_JUDGES)}
    values |= {**_counted(report), "outcome": outcome, "reason": printable(report.reason)}
    made = connection.execute(sa.insert(runs).values(values)).inserted_primary_key
    return int(made[0]) if made else 0


def _counted(report: RunReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in _COUNTS}
