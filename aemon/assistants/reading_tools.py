"""The tools: what an assistant may ask about monitors, episodes, records and runs.

Every tool answers with the JSON of an operation, as the commands print it with `--json`. No tool
changes anything.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from aemon.operations.episode_handling import list_episodes, show_episode
from aemon.operations.flagged_records import explain_record, list_flagged_records
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.operations.lists.ledger_pages import Happened, run_page
from aemon.operations.lists.series_views import SeriesWanted, score_series
from aemon.operations.reference_pages import find_page, list_pages, search_pages
from aemon.operations.status_report import stored_status
from aemon.records import Outcome
from aemon.times.given_times import given_time

MOST_ROWS = 100
"""Largest number of rows in an answer, so that the answer fits into an assistant's context."""

MOST_RECORDS = 20  # flagged records of an episode
MOST_POINTS = 1000

_Monitor = Annotated[str, Field(description="name of the monitor, as `status` lists it")]
_Any = Annotated[str | None, Field(description="only of this monitor; all monitors by default")]
_Since = Annotated[
    str | None, Field(description="only since this time: 24h, 7d, or 2026-01-31T12:00 in UTC")
]
_Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="largest number of rows")]


class Tools:
    """The tools of one installation.

    Args:
        installation: opens the installation; called for each answer, so that a changed
            configuration counts at once.
    """

    def __init__(self, installation: Callable[[], Installation]) -> None:
        self._open = installation

    def status(self) -> str:
        """Return the state of every monitor: what is watched, what needs a person, and why."""
        with self._open() as installation:
            return to_json(stored_status(installation))

    def episodes(
        self,
        monitor: _Any = None,
        open_only: Annotated[bool, Field(description="only episodes that have not ended")] = False,
        limit: _Limit = 20,
    ) -> str:
        """Return episodes (adjacent anomalies of one entity), newest first, with their columns."""
        with self._open() as installation:
            return to_json(list_episodes(installation, monitor, open_only=open_only, limit=limit))

    def episode(self, number: Annotated[int, Field(ge=1, description="id of the episode")]) -> str:
        """Return one episode with its newest flagged records: observed and expected values."""
        with self._open() as installation:
            return to_json(show_episode(installation, number, MOST_RECORDS))

    def flagged_records(
        self, monitor: _Any = None, since: _Since = None, limit: _Limit = 20
    ) -> str:
        """Return flagged records, newest first, each with its reason in words."""
        with self._open() as installation:
            return to_json(
                list_flagged_records(
                    installation, monitor, since=self._time(installation, since), limit=limit
                )
            )

    def explain(
        self,
        monitor: _Monitor,
        record_key: Annotated[str, Field(description="key of the record")],
        entity: Annotated[
            str | None, Field(description="entity of the record, if several share the key")
        ] = None,
    ) -> str:
        """Return why a record was flagged, column by column; or its verdict if it was not."""
        with self._open() as installation:
            return to_json(explain_record(installation, monitor, record_key, entity))

    def runs(
        self,
        monitor: _Any = None,
        since: _Since = None,
        outcome: Annotated[
            Outcome | None, Field(description="only runs with this outcome, such as failed")
        ] = None,
        limit: _Limit = 20,
    ) -> str:
        """Return the ledger: runs with outcome, reason and counts, newest first."""
        with self._open() as installation:
            happened = Happened(monitor=monitor, since=self._time(installation, since))
            outcomes = None if outcome is None else (outcome,)
            return to_json(run_page(installation, happened, outcomes=outcomes, limit=limit).items)

    def series(
        self,
        monitor: _Monitor,
        since: _Since = None,
        until: Annotated[str | None, Field(description="only before this time")] = None,
        entity: Annotated[str | None, Field(description="only of this entity")] = None,
        points: Annotated[
            int, Field(ge=2, le=MOST_POINTS, description="largest number of points")
        ] = 200,
    ) -> str:
        """Return scores and thresholds over time, in buckets, with every flagged record."""
        with self._open() as installation:
            wanted = SeriesWanted(
                monitor=monitor,
                since=self._time(installation, since),
                until=self._time(installation, until),
                entity=entity,
                points=points,
            )
            return to_json(score_series(installation, wanted))

    def documentation(
        self,
        topic: Annotated[str | None, Field(description="name of the page")] = None,
        search: Annotated[str | None, Field(description="word to find in all pages")] = None,
    ) -> str:
        """Return a page of the documentation, the lines with a word, or the list of topics."""
        if topic is not None:
            return find_page(topic).text
        if search is not None:
            return to_json(search_pages(search)[:MOST_ROWS])
        return to_json([{"topic": page.topic, "title": page.title} for page in list_pages()])

    @property
    def every(self) -> tuple[Callable[..., Any], ...]:
        """All tools, in the order in which they are listed."""
        return (
            self.status, self.episodes, self.episode, self.flagged_records, self.explain,
            self.runs, self.series, self.documentation,
        )  # fmt: skip

    def _time(self, installation: Installation, text: str | None) -> datetime | None:
        return None if text is None else given_time(text, installation.clock())
