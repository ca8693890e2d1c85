"""The page of a monitor at `/monitors/{name}`, and its lanes of entities."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aemon.operations.installation import Installation
from aemon.operations.views.monitor_view import (
    MOST_LISTED,
    entity_lanes,
    monitor_page_of,
)
from aemon.web.pages.page_desk import PageDesk
from aemon.web.pages.requests_read import SPANS, USUAL, span_of, text_of


def monitor_routes(desk: PageDesk) -> list[Route]:
    """Build the routes of the page of a monitor."""

    async def monitor(request: Request) -> Response:
        name, entity = request.path_params["name"], text_of(request, "entity")

        def contents(installation: Installation) -> Mapping[str, Any]:
            status = desk.status_for(request)
            view = monitor_page_of(installation, status, name)
            lanes = entity_lanes(installation, name, SPANS[USUAL])
            span = span_of(request, view.line.monitor.first_trained_at, status.now)
            return {
                "view": view,
                "name": name,
                "entity": entity,
                "entities": sorted(lane.entity for lane in lanes if lane.entity),
                "span": span,
                "spans": SPANS,
                "seconds": SPANS[span].total_seconds(),
                "now": status.now,
                "until": view.end_of(SPANS[span], status.now),
                "listed": MOST_LISTED,
            }

        return await desk.page(request, "monitor.html", contents)

    async def lanes(request: Request) -> Response:
        name = request.path_params["name"]

        def contents(installation: Installation) -> Mapping[str, Any]:
            span = span_of(request, None, installation.clock())
            found = entity_lanes(installation, name, SPANS[span])
            return {"lanes": found, "name": name, "span": span, "spans": SPANS}

        return await desk.page(request, "lanes.html", contents)

    return [
        Route("/monitors/{name}/lanes", lanes),
        Route("/monitors/{name}", monitor),
    ]
