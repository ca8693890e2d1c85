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
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import PAGE, Number, Text, TimesQuery
from aemon.web.api.list_answers import LISTED, TheListing

router = APIRouter(tags=["episodes"])


class EpisodeQuery(TimesQuery):
    """A request for episodes that were going on in a time."""

    entity: Annotated[Text | None, Field(description="only of this entity")] = None
    state: Annotated[
        list[EpisodeState] | None, Field(description="only in this state; may be repeated")
    ] = None

    def choice(self, installation: Installation) -> EpisodeChoice:
        """Return the conditions as the operation reads them.

        Raises:
            QueryError: a time cannot be read.
        """
        since, until = self.times(installation.clock())
        return EpisodeChoice(
            monitor=self.monitor,
            entity=self.entity,
            states=None if self.state is None else tuple(self.state),
            since=since,
            until=until,
        )


@router.get("/episodes", response_model=Page[EpisodeSummary], responses=LISTED)
async def list_episodes(listing: TheListing, query: Annotated[EpisodeQuery, Query()]) -> Response:
    """List the episodes that were long enough to be notified, newest first.

    With `since` and `until`, only episodes of which a part lies in that time.
    """
    return await listing.answer(
        query,
        EpisodeSummary,
        lambda one, cursor, limit: episode_page(one, query.choice(one), cursor=cursor, limit=limit),
    )


@router.get("/episodes/{number}", response_model=EpisodeDetails)
async def get_episode(desk: TheDesk, number: Number) -> Response:
    """Show an episode with its newest flagged records; `/flagged?episode=` lists all of them."""
    return await desk.answer(lambda one: show_episode(one, number, PAGE))
