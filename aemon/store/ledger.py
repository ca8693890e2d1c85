"""The ledger: table `runs`, with one row for every tick.

The first commit of a run inserts the row; the end of the run writes its outcome.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.frame import printable
from aemon.records import Job, Outcome
from aemon.run_report import RunCounts, RunReport
from aemon.store.schema.tables import runs
from aemon.store.store import Store

_JUDGES = ("detector_id", "threshold_id")
_LOST = "aemon ended before this run did"
_WHAT = ("monitor", "job", "outcome", "reason", "started_at", "finished_at")
_COUNTS = tuple(column.name for column in runs.columns if hasattr(RunCounts, column.name))
"""Names of the counts in `RunCounts` that are also columns of `runs`."""


def note_progress(connection: sa.Connection, run_id: int | None, report: RunReport) -> int:
    """Write the counts of a run so far, in the transaction of its results; return the run's id.

    If the run is killed later, its row keeps the outcome `running` and the right counts.

    Args:
        connection: connection of the transaction.
        run_id: id of the run's row; None at the first commit, which inserts the row.
        report: the run so far.
    """
    if run_id is None:
        return _insert(connection, report, Outcome.RUNNING)
    values = {"finished_at": report.finished_at, **_counted(report)}
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))
    return run_id


def save_run(store: Store, report: RunReport, run_id: int | None = None) -> None:
    """Write the outcome of a run into its ledger row; insert the row if `run_id` is None.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        if run_id is None:
            _insert(connection, report, report.outcome)
            return
        # Counts never decrease, because a commit that was reported as failed may have succeeded.
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
    """Mark unfinished runs that began before a time as abandoned; return the number of these runs.

    The caller chooses `begun_before` so that no earlier run can still be running.

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
        .values(outcome=Outcome.ABANDONED, reason=_LOST)
    )
    with store.writing() as connection:
        return connection.execute(lost).rowcount


def lost_runs(store: Store, monitor: str, since: datetime, begun_before: datetime) -> int:
    """Return how many runs that began since `since` did not finish because aemon ended.

    Count runs that are marked as abandoned, and unfinished runs that began before `begun_before`.

    Raises:
        StoreError: the database fails.
    """
    unnoted = sa.and_(runs.c.outcome == Outcome.RUNNING, runs.c.started_at < begun_before)
    query = sa.select(sa.func.count()).where(
        runs.c.monitor == monitor, runs.c.started_at >= since,
        sa.or_(unnoted, runs.c.reason == _LOST),
    )  # fmt: skip
    with store.reading() as connection:
        return int(connection.execute(query).scalar_one())


@dataclass(frozen=True, kw_only=True, slots=True)
class BadEnds:
    """The number of runs of one job with the same outcome, and the reason of the newest run."""

    monitor: str
    job: str
    outcome: str
    count: int
    reason: str


def bad_ends(store: Store, since: datetime, outcomes: Collection[str]) -> list[BadEnds]:
    """Count the runs since `since` with one of these outcomes, by monitor, job and outcome.

    Raises:
        StoreError: the database fails.
    """
    newest = sa.func.max(runs.c.id).label("newest")
    counted = (
        sa.select(
            runs.c.monitor, runs.c.job, runs.c.outcome, sa.func.count().label("count"), newest
        )
        .where(runs.c.started_at >= since, runs.c.outcome.in_(list(outcomes)))
        .group_by(runs.c.monitor, runs.c.job, runs.c.outcome)
        .subquery()
    )
    names = ("monitor", "job", "outcome", "count")
    query = (
        sa.select(*(counted.c[name] for name in names), runs.c.reason)
        .join(runs, runs.c.id == counted.c.newest)
        .order_by(counted.c.monitor, counted.c.job, counted.c.outcome)
    )
    with store.reading() as connection:
        return [BadEnds(**row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudged:
    """The numbers of records of a monitor that scoring runs read, rejected, scored or found idle.

    Rejected records have no verdict; records that came too late are counted in `rejected` and in
    `too_late`. Idle records have the verdict `idle`.
    """

    monitor: str
    read: int
    rejected: int
    too_late: int
    scored: int
    idle: int


def unjudged(store: Store, since: datetime) -> list[Unjudged]:
    """Return the counts of unjudged records of each monitor with rejected or idle records.

    Runs that started since `since` are counted.

    Raises:
        StoreError: the database fails.
    """
    rejected, idle = sa.func.sum(runs.c.records_rejected), sa.func.sum(runs.c.records_idle)
    query = (
        sa.select(
            runs.c.monitor,
            sa.func.sum(runs.c.records_read).label("read"),
            rejected.label("rejected"),
            sa.func.sum(runs.c.records_too_late).label("too_late"),
            sa.func.sum(runs.c.records_scored).label("scored"),
            idle.label("idle"),
        )
        .where(
            runs.c.job == Job.SCORE,
            runs.c.started_at >= since,
            runs.c.outcome != Outcome.COLLECTING,
        )
        .group_by(runs.c.monitor)
        .having(sa.or_(rejected > 0, idle > 0))
        .order_by(runs.c.monitor)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings()
        return [
            Unjudged(
                monitor=row["monitor"],
                **{
                    name: int(row[name])
                    for name in ("read", "rejected", "too_late", "scored", "idle")
                },
            )
            for row in rows
        ]


def _insert(connection: sa.Connection, report: RunReport, outcome: Outcome) -> int:
    values: dict[str, Any] = {name: getattr(report, name) for name in (*_WHAT, *_JUDGES)}
    values |= {**_counted(report), "outcome": outcome, "reason": printable(report.reason)}
    made = connection.execute(sa.insert(runs).values(values)).inserted_primary_key
    return int(made[0]) if made else 0


def _counted(report: RunReport) -> dict[str, int]:
    return {name: getattr(report.counts, name) for name in _COUNTS}


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The newest ledger row of one job."""

    outcome: str
    reason: str
    finished_at: datetime
    records_read: int


def last_run(connection: sa.Connection, monitor: str, job: Job) -> LastRun | None:
    """Return the newest ledger row of a job; None if the job has not run yet."""
    row = connection.execute(
        sa.select(runs.c.outcome, runs.c.reason, runs.c.finished_at, runs.c.records_read)
        .where(runs.c.monitor == monitor, runs.c.job == job)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(1)
    ).one_or_none()
    return LastRun(**row._mapping) if row else None  # noqa: SLF001 -- SQLAlchemy's public name


def resumes_after(store: Store, long_ago: datetime, recent: datetime) -> bool:
    """Return whether aemon ran before `long_ago`, and did not run from `long_ago` to `recent`.

    The stored runs of all monitors decide.

    Raises:
        StoreError: the database fails.
    """
    older = sa.exists().where(runs.c.started_at < long_ago)
    between = sa.exists().where(runs.c.started_at.between(long_ago, recent))
    with store.reading() as connection:
        return bool(connection.execute(sa.select(sa.and_(older, ~between))).scalar())
