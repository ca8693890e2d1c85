"""Paths about episodes: `/episodes`."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from aemon.operations.episode_handling import EpisodeDetails, show_episode
from aemon.operations.installation import Installation
from aemon.operations.lists.episode_pages import EpisodeChoice, episode_page
from aemon.operations.lists.pages import Page
from aemon.records import EpisodeState
from aemon.store.episode_queries import EpisodeSummary
from aemon.times.given_times import given_time
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import Moment, Number, PageQuery, Text

router = APIRouter(tags=["episodes"])


class EpisodeQuery(PageQuery):
    """A request for episodes."""

    monitor: Annotated[Text | None, Field(description="only of this monitor")] = None
    entity: Annotated[Text | None, Field(description="only of this entity")] = None
    state: Annotated[
        list[EpisodeState] | None, Field(description="only in this state; may be repeated")
    ] = None
    since: Annotated[
        Moment | None, Field(description="only those that ended, so far, at or after this time")
    ] = None
    until: Annotated[Moment | None, Field(description="only those that began before this time")] = (
        None
    )

    def choice(self, installation: Installation) -> EpisodeChoice:
        """Return the conditions as the operation reads them.

        Raises:
            QueryError: a time cannot be read.
        """
        now = installation.clock()
        return EpisodeChoice(
            monitor=self.monitor,
            entity=self.entity,
            states=None if self.state is None else tuple(self.state),
            since=None if self.since is None else given_time(self.since, now),
            until=None if self.until is None else given_time(self.until, now),
        )


@router.get("/episodes", response_model=Page[EpisodeSummary])
async def list_episodes(desk: TheDesk, query: Annotated[EpisodeQuery, Query()]) -> Response:
    """List the episodes that were long enough to be notified, newest first."""
    return await desk.answer(
        lambda installation: episode_page(
            installation, query.choice(installation), cursor=query.cursor, limit=query.limit
        )
    )


@router.get("/episodes/{number}", response_model=EpisodeDetails)
async def get_episode(desk: TheDesk, number: Number) -> Response:
    """Show an episode with its flagged records, newest first."""
    return await desk.answer(lambda installation: show_episode(installation, number))
