"""The routes that a daemon serves to people and programs: the pages and the API."""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.routing import BaseRoute

from aemon.operations.installation import Installation
from aemon.operations.status_report import StatusPage
from aemon.web.api.application import api_routes
from aemon.web.api.desk import Desk
from aemon.web.pages.page_application import page_routes
from aemon.web.pages.page_desk import PageDesk


def served_routes(
    installation: Callable[[], Installation],
    status: Callable[[], StatusPage],
    diagnose: Callable[[], Iterator[Any]] | None,
) -> list[BaseRoute]:
    """Build the routes of the API and of the pages, without a guard.

    Args:
        installation: returns the present configuration and the store for requests.
        status: returns the status of the daemon; it may take long.
        diagnose: runs the checks of `aemon doctor`; None if they cannot be run here.
    """
    pages = page_routes(PageDesk(installation, status, diagnose))
    return [*api_routes(Desk(installation, status)), *pages]
