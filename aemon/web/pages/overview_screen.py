"""The overview at `/`: every monitor, most urgent first; open episodes; newest flagged records."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aemon.operations.installation import Installation
from aemon.operations.views.overview_view import MOST_SHOWN, overview_of
from aemon.operations.views.recent_exceedances import RecentExceedances
from aemon.web.pages.page_desk import PageDesk
from aemon.web.pages.requests_read import text_of

MOST_MONITORS = 100_000


def overview_routes(desk: PageDesk) -> list[Route]:
    """Build the route of the overview."""
    recent = RecentExceedances()

    async def overview(request: Request) -> Response:
        search, shows_all = text_of(request, "q"), "all" in request.query_params
        address = str(request.url.path) + (f"?{request.url.query}" if request.url.query else "")

        def contents(installation: Installation) -> Mapping[str, Any]:
            status = desk.status_for(request)
            view = overview_of(
                installation,
                status,
                recent,
                search=search,
                limit=MOST_MONITORS if shows_all else MOST_SHOWN,
            )
            return {"view": view, "search": search, "address": address}

        return await desk.page(request, "overview.html", contents, shared=True)

    return [Route("/", overview)]
