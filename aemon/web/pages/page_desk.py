"""The desk of the pages: fills templates in a few threads, within a time limit."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aemon.errors import (
    AemonError,
    ConfigError,
    DetectorError,
    NotFoundError,
    QueryError,
    UnknownMonitorError,
    UnknownTopicError,
)
from aemon.operations.installation import Installation
from aemon.operations.status_report import StatusPage
from aemon.web.accepted_encodings import takes_gzip
from aemon.web.answering import Answering
from aemon.web.client import client_of
from aemon.web.pages.page_templates import templates
from aemon.web.pages.shared_status import SharedStatus

AT_ONCE = 2  # pages that are filled at one time

LEAST_COMPRESSED = 1_000  # bytes; a smaller page is sent as it is

_STATUS: Mapping[type[AemonError], HTTPStatus] = {
    UnknownMonitorError: HTTPStatus.NOT_FOUND,
    NotFoundError: HTTPStatus.NOT_FOUND,
    DetectorError: HTTPStatus.NOT_FOUND,
    UnknownTopicError: HTTPStatus.NOT_FOUND,
    QueryError: HTTPStatus.BAD_REQUEST,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The first class that fits decides; other errors are 503, because they may be gone soon."""

Contents = Callable[[Installation], Mapping[str, Any]]
"""Returns the variables of a template; called in a thread."""

Findings = Callable[[], Iterator[Any]]
"""Runs the checks of `aemon doctor`."""


class PageDesk:
    """Answers requests for pages.

    Args:
        installation: returns the present configuration and the store for the pages.
        status: returns the status of the daemon; it may take long.
        diagnose: runs the checks of `aemon doctor`; None if they cannot be run here.
    """

    def __init__(
        self,
        installation: Callable[[], Installation],
        status: Callable[[], StatusPage],
        diagnose: Findings | None = None,
    ) -> None:
        self.installation = installation
        self.status = SharedStatus(status)
        self.diagnose = diagnose
        self._answering = Answering(AT_ONCE)

    async def page(
        self, request: Request, template: str, contents: Contents, *, shared: bool = False
    ) -> Response:
        """Return a page; an `AemonError` becomes a page with its text and what to do.

        With `shared`, clients with the same rights share the page as long as they share the status.
        """
        writes, client = may_write(request), client_of(request.scope)
        small = takes_gzip(request.headers.get("accept-encoding", ""))
        path = request.url.path

        def filled() -> Response:
            found = {
                "may_write": writes,
                "path": path,
                **contents(client.part_of(self.installation(), "page")),
            }
            return html(template, found, small=small)

        key = (str(request.url.query), client.monitors, writes, small)
        try:
            if shared:
                return await self._answering.run(lambda: self.status.made((path, *key), filled))
            return await self._answering.run(filled)
        except AemonError as error:
            return error_page(error, path)

    async def change(
        self, request: Request, change: Callable[[Installation], None], then: str
    ) -> Response:
        """Make a change, and send the browser to the page `then`, which shows the change."""
        try:
            client = client_of(request.scope)
            await self._answering.run(lambda: change(client.part_of(self.installation(), "page")))
        except AemonError as error:
            return error_page(error, request.url.path)
        return RedirectResponse(then, HTTPStatus.SEE_OTHER)

    def status_for(self, request: Request) -> StatusPage:
        """Return the status of the daemon, with only the monitors that the client may know."""
        client, status = client_of(request.scope), self.status()
        return status if client.monitors is None else status.narrowed(client.knows)


def may_write(request: Request) -> bool:
    """Return whether the client may change something."""
    return client_of(request.scope).may("feedback")


def html(
    template: str, contents: Mapping[str, Any], *, small: bool, status: int = HTTPStatus.OK
) -> Response:
    """Return a filled template as an answer."""
    body = templates().get_template(template).render(contents).encode()
    return sent(body, HTMLResponse.media_type + "; charset=utf-8", small=small, status=status)


def sent(body: bytes, kind: str, *, small: bool, status: int = HTTPStatus.OK) -> Response:
    """Return an answer; with `small`, a long one is compressed."""
    headers = {"Content-Type": kind, "Vary": "Accept-Encoding"}
    if small and len(body) >= LEAST_COMPRESSED:
        # The fastest level: higher levels gain little, and every request makes its page again.
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
    return Response(body, status, headers)


def status_of(error: AemonError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    kinds = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    return next(kinds, HTTPStatus.SERVICE_UNAVAILABLE)


def error_page(error: AemonError, path: str) -> Response:
    """Return the page about an error: what happened, and what to do."""
    found = {"message": error.message, "todo": error.todo, "path": path, "may_write": False}
    return html("error.html", found, small=False, status=status_of(error))


def refused(status: HTTPStatus, message: str) -> HTTPException:
    """Return an error that answers a request with a status and a sentence."""
    return HTTPException(status, f"{message}\n")
