"""Lists records in pages: verdicts, flagged records, and the columns that explain them."""

from dataclasses import dataclass
from datetime import datetime

from aemon.operations.installation import Installation
from aemon.operations.lists.pages import Page, from_cursor, page_of
from aemon.records import Verdict
from aemon.store.lists.contribution_rows import Contribution, contribution_rows
from aemon.store.lists.judged_records import JudgedRecord, score_rows
from aemon.store.queries import FlaggedRecord, flagged_records


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordsWanted:
    """Conditions on records; None excludes no record.

    Attributes:
        monitor: only records of this monitor.
        entity: only records of this entity.
        episode: only records of the episode with this number.
        since: only records from this event time on.
        until: only records before this event time.
    """

    monitor: str | None = None
    entity: str | None = None
    episode: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def score_page(
    installation: Installation,
    wanted: RecordsWanted,
    *,
    verdicts: tuple[Verdict, ...] | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[JudgedRecord]:
    """Return the newest verdicts on the records of a monitor, newest record first.

    Raises:
        ConfigError: there is no such monitor, or there are several monitors and none is named.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = score_rows(
        installation.store,
        installation.monitor(wanted.monitor),
        limit=limit + 1,
        verdicts=verdicts,
        entity=wanted.entity,
        since=wanted.since,
        until=wanted.until,
        after=from_cursor(cursor, [datetime, str, str]),
    )
    return page_of(found, limit, lambda one: [one.event_time, one.record_key, one.entity])


def flagged_page(
    installation: Installation,
    wanted: RecordsWanted,
    *,
    suppressed: bool = False,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[FlaggedRecord]:
    """Return flagged records with reasons, newest first; with `suppressed`, suppressed records.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = flagged_records(
        installation.store,
        limit=limit + 1,
        suppressed=suppressed,
        monitors=installation.monitors(wanted.monitor),
        entity=wanted.entity,
        episode=wanted.episode,
        since=wanted.since,
        until=wanted.until,
        after=from_cursor(cursor, [datetime, str, str, str]),
    )
    return page_of(
        found, limit, lambda one: [one.event_time, one.record_key, one.monitor, one.entity]
    )


def contribution_page(
    installation: Installation,
    wanted: RecordsWanted,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[Contribution]:
    """Return the contributions of columns to flagged and suppressed records, newest record first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    found = contribution_rows(
        installation.store,
        installation.monitors(wanted.monitor),
        limit=limit + 1,
        episode=wanted.episode,
        entity=wanted.entity,
        since=wanted.since,
        until=wanted.until,
        after=from_cursor(cursor, [datetime, str, str, str, int]),
    )
    return page_of(
        found,
        limit,
        lambda one: [one.event_time, one.monitor, one.record_key, one.entity, -one.rank],
    )
