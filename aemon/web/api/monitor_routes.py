"""Paths about monitors and about the daemon: `/monitors`, `/status`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from aemon.operations.lists.monitor_pages import monitor_page, show_monitor
from aemon.operations.lists.pages import Page
from aemon.operations.status_report import MonitorStatus
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import PageQuery, Text

router = APIRouter(tags=["monitors"])


class MonitorQuery(PageQuery):
    """A request for monitors."""

    name: Annotated[Text | None, Field(description="only the monitor of this name")] = None


@router.get("/monitors", response_model=Page[MonitorStatus])
async def list_monitors(desk: TheDesk, query: Annotated[MonitorQuery, Query()]) -> Response:
    """List the configured monitors with their states, ordered by name."""
    return await desk.answer(
        lambda installation: monitor_page(
            installation, query.name, cursor=query.cursor, limit=query.limit
        )
    )


@router.get("/monitors/{name:path}", response_model=MonitorStatus)
async def get_monitor(desk: TheDesk, name: Text) -> Response:
    """Show the state of a monitor."""
    return await desk.answer(lambda installation: show_monitor(installation, name))


@router.get("/status", response_model=dict[str, Any])
async def get_status(desk: TheDesk) -> Response:
    """Show the daemon and the state of every monitor, as `/status.json` does."""
    return await desk.answer(lambda _installation: desk.status().as_json())
