"""Paths about detectors: `/detectors`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from aemon.operations.detector_listing import ListedDetector
from aemon.operations.lists.detector_pages import DetectorReport, detector_page, detector_report
from aemon.operations.lists.pages import Page
from aemon.records import DetectorState
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import PageQuery, Text
from aemon.web.api.list_answers import LISTED, TheListing

MOST_VERSION = 2**31 - 1

router = APIRouter(tags=["detectors"])

Version = Annotated[int, Path(ge=1, le=MOST_VERSION, description="version of the detector")]


class DetectorQuery(PageQuery):
    """A request for detectors."""

    monitor: Annotated[Text | None, Field(description="only of this monitor")] = None
    state: Annotated[
        list[DetectorState] | None, Field(description="only in this state; may be repeated")
    ] = None


@router.get("/detectors", response_model=Page[ListedDetector], responses=LISTED)
async def list_detectors(listing: TheListing, query: Annotated[DetectorQuery, Query()]) -> Response:
    """List the detectors, ordered by monitor and version."""
    states = None if query.state is None else tuple(query.state)
    return await listing.answer(
        query,
        ListedDetector,
        lambda one, cursor, limit: detector_page(
            one, query.monitor, states=states, cursor=cursor, limit=limit
        ),
    )


@router.get("/detectors/{monitor:path}/{version}", response_model=DetectorReport)
async def get_detector(desk: TheDesk, monitor: Text, version: Version) -> Response:
    """Show a detector: training records, thresholds, promise and result, and its trial."""
    return await desk.answer(lambda one: detector_report(one, monitor, version))
