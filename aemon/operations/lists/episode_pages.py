"""Lists episodes in pages."""

from dataclasses import dataclass
from datetime import datetime

from aemon.operations.installation import Installation
from aemon.operations.lists.pages import Page, from_cursor, page_of
from aemon.records import EpisodeState
from aemon.store.episode_queries import EpisodeSummary, episode_summaries


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeChoice:
    """Conditions on episodes; None excludes no episode.

    Attributes:
        monitor: only episodes of this monitor.
        entity: only episodes of this entity.
        states: only episodes in one of these states.
        since: only episodes whose last anomaly so far is at or after this time.
        until: only episodes that began before this time.
    """

    monitor: str | None = None
    entity: str | None = None
    states: tuple[EpisodeState, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


def episode_page(
    installation: Installation,
    choice: EpisodeChoice,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[EpisodeSummary]:
    """Return the chosen episodes that were long enough to be notified, newest first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    after = from_cursor(cursor, [datetime, int])
    found = episode_summaries(
        installation.store,
        installation.monitors(choice.monitor),
        limit=limit + 1,
        entity=choice.entity,
        states=choice.states,
        since=choice.since,
        until=choice.until,
        after=None if after is None else (after[0], after[1]),
    )
    return page_of(found, limit, lambda episode: [episode.started_at, episode.id])
