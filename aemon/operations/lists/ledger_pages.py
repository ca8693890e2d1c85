"""Pages of four lists: runs, rejected records, feedback and snoozes."""

from dataclasses import dataclass
from datetime import datetime

from aemon.operations.installation import Installation
from aemon.operations.lists.pages import Page, from_cursor, page_of
from aemon.records import FeedbackVerdict, Job, Outcome
from aemon.store.inbox.rejected_records import RejectedRecord
from aemon.store.lists.audit_log import AuditRow, audit_rows
from aemon.store.lists.ledger_rows import RunRow, run_rows
from aemon.store.lists.numbered_rows import FeedbackRow, feedback_rows, rejected_rows, snooze_rows
from aemon.store.snoozes import StoredSnooze


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """Conditions on the rows of these lists; None excludes no row.

    Attributes:
        monitor: only rows of this monitor.
        since: only rows at or after this time.
        until: only rows before this time.
    """

    monitor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def run_page(
    installation: Installation,
    happened: Happened,
    *,
    jobs: tuple[Job, ...] | None = None,
    outcomes: tuple[Outcome, ...] | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[RunRow]:
    """Return the runs of the ledger that started in a period, newest first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = run_rows(
        installation.store,
        installation.monitors(happened.monitor),
        limit=limit + 1,
        jobs=jobs,
        outcomes=outcomes,
        since=happened.since,
        until=happened.until,
        after=from_cursor(cursor, [datetime, int]),
    )
    return page_of(found, limit, lambda run: [run.started_at, run.id])


def audit_page(
    installation: Installation,
    happened: Happened,
    *,
    who: str | None = None,
    action: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[AuditRow]:
    """Return the changes that people and programs made in a time, newest first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = audit_rows(
        installation.store,
        installation.monitors(happened.monitor),
        limit=limit + 1,
        who=who,
        action=action,
        since=happened.since,
        until=happened.until,
        after=from_cursor(cursor, [int]),
    )
    return page_of(found, limit, lambda one: [one.id])


def rejected_page(
    installation: Installation, happened: Happened, *, cursor: str | None = None, limit: int = 100
) -> Page[RejectedRecord]:
    """Return the records that were rejected in a period, newest first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = rejected_rows(
        installation.store,
        installation.monitors(happened.monitor),
        limit=limit + 1,
        since=happened.since,
        until=happened.until,
        after=from_cursor(cursor, [int]),
    )
    return page_of(found, limit, lambda one: [one.id])


def feedback_page(
    installation: Installation,
    happened: Happened,
    *,
    record_key: str | None = None,
    verdicts: tuple[FeedbackVerdict, ...] | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[FeedbackRow]:
    """Return the feedback that people gave in a period, newest first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = feedback_rows(
        installation.store,
        installation.monitors(happened.monitor),
        limit=limit + 1,
        record_key=record_key,
        verdicts=verdicts,
        since=happened.since,
        until=happened.until,
        after=from_cursor(cursor, [int]),
    )
    return page_of(found, limit, lambda one: [one.id])


def snooze_page(
    installation: Installation,
    happened: Happened,
    *,
    ended: bool = False,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[StoredSnooze]:
    """Return the snoozes that were entered in a period and have not ended, newest first.

    With `ended`, also return the snoozes that have ended.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    store = installation.store
    found = snooze_rows(
        store,
        installation.monitors(happened.monitor),
        limit=limit + 1,
        ends_after=None if ended else store.now(),
        since=happened.since,
        until=happened.until,
        after=from_cursor(cursor, [int]),
    )
    return page_of(found, limit, lambda one: [one.id])
