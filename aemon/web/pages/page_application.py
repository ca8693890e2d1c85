"""The routes of all pages, without a guard."""

from starlette.routing import BaseRoute, Route

from aemon.web.pages.episode_screen import episode_routes
from aemon.web.pages.monitor_screen import monitor_routes
from aemon.web.pages.overview_screen import overview_routes
from aemon.web.pages.page_desk import PageDesk
from aemon.web.pages.reference_screens import reference_routes
from aemon.web.pages.static_files import serve_static


def page_routes(desk: PageDesk) -> list[BaseRoute]:
    """Build the routes of all pages and of their static files."""
    return [
        Route("/static/{digest}/{name}", serve_static),
        *overview_routes(desk),
        *monitor_routes(desk),
        *episode_routes(desk),
        *reference_routes(desk),
    ]
