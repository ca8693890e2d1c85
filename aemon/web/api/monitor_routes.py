"""Paths about monitors and about the daemon: `/monitors`, `/status`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from aemon.operations.installation import Installation
from aemon.operations.lists.monitor_pages import monitor_page, show_monitor
from aemon.operations.lists.pages import Page
from aemon.operations.status_report import MonitorStatus
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import PageQuery, Text
from aemon.web.api.list_answers import LISTED, TheListing

router = APIRouter(tags=["monitors"])


class MonitorQuery(PageQuery):
    """A request for monitors."""

    name: Annotated[Text | None, Field(description="only the monitor of this name")] = None


@router.get("/monitors", response_model=Page[MonitorStatus], responses=LISTED)
async def list_monitors(listing: TheListing, query: Annotated[MonitorQuery, Query()]) -> Response:
    """List the configured monitors with their states, ordered by name."""
    return await listing.answer(
        query,
        MonitorStatus,
        lambda one, cursor, limit: monitor_page(one, query.name, cursor=cursor, limit=limit),
    )


@router.get("/monitors/{name:path}", response_model=MonitorStatus)
async def get_monitor(desk: TheDesk, name: Text) -> Response:
    """Show the state of a monitor."""
    return await desk.answer(lambda installation: show_monitor(installation, name))


@router.get("/status", response_model=dict[str, Any])
async def get_status(desk: TheDesk) -> Response:
    """Show the daemon and the state of the monitors, as `/status.json` does."""

    def shown(_installation: Installation) -> dict[str, Any]:
        told = desk.desk.status().as_json()
        known = [one for one in told["monitors"] if desk.client.knows(one["name"])]
        return {**told, "monitors": known}

    return await desk.answer(shown)
