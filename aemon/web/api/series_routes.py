"""Paths about scores over time, for pictures: `/series`, `/lanes`."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from aemon.operations.installation import Installation
from aemon.operations.lists.series_views import (
    MOST_CELLS,
    MOST_LANES,
    MOST_POINTS,
    Lanes,
    ScoreSeries,
    SeriesWanted,
    score_lanes,
    score_series,
)
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import A_TIME, Moment, Text, read_moment

router = APIRouter(tags=["series"])

MOST_COLUMNS = 100


class StretchQuery(BaseModel):
    """A request for the scores of a time."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[
        Moment | None,
        Field(alias="from", description=f"begin: {A_TIME}; a day before the end if not given"),
    ] = None
    until: Annotated[
        Moment | None,
        Field(alias="to", description=f"end: {A_TIME}; the newest record if not given"),
    ] = None

    def wanted(self, installation: Installation, monitor: str, points: int) -> SeriesWanted:
        """Return the request as the operations read it.

        Raises:
            QueryError: a time cannot be read.
        """
        now = installation.clock()
        return SeriesWanted(
            monitor=monitor,
            since=read_moment(self.since, now),
            until=read_moment(self.until, now),
            points=points,
        )


class SeriesQuery(StretchQuery):
    """A request for the scores of a monitor over time."""

    entity: Annotated[
        Text | None, Field(description="only of this entity; all together if not given")
    ] = None
    points: int = Field(1000, ge=2, le=MOST_POINTS, description="most points; two for a bucket")
    column: Annotated[
        list[Text],
        Field(
            max_length=MOST_COLUMNS,
            description="a column whose observed and expected values the flagged records have; "
            "may be repeated",
        ),
    ] = []


class LanesQuery(StretchQuery):
    """A request for a lane of each entity."""

    buckets: int = Field(100, ge=1, le=MOST_CELLS, description="buckets of time in each lane")
    limit: int = Field(50, ge=1, le=MOST_LANES, description="most lanes")


@router.get("/series/{monitor:path}", response_model=ScoreSeries)
async def get_series(
    desk: TheDesk, monitor: Text, query: Annotated[SeriesQuery, Query()]
) -> Response:
    """Show scores and thresholds over time, in buckets that keep every flagged record."""

    def series(installation: Installation) -> ScoreSeries:
        wanted = query.wanted(installation, monitor, query.points)
        chosen = replace(wanted, entity=query.entity, columns=tuple(query.column))
        return score_series(installation, chosen)

    return await desk.answer(series)


@router.get("/lanes/{monitor:path}", response_model=Lanes)
async def get_lanes(
    desk: TheDesk, monitor: Text, query: Annotated[LanesQuery, Query()]
) -> Response:
    """Show the largest exceedance of each entity over time, the most unusual entities first."""
    return await desk.answer(
        lambda one: score_lanes(one, query.wanted(one, monitor, query.buckets), query.limit)
    )
