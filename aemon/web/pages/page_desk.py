"""The desk of the pages: fills templates in a few threads, within a time limit."""

import asyncio
import gzip
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aemon.errors import (
    AemonError,
    ConfigError,
    DetectorError,
    NotFoundError,
    QueryError,
    ResourceError,
    SlowQueryError,
    UnknownMonitorError,
    UnknownTopicError,
)
from aemon.operations.installation import Installation
from aemon.operations.status_report import StatusPage
from aemon.records import Actor
from aemon.web.accepted_encodings import takes_gzip
from aemon.web.client import Client, client_of
from aemon.web.pages.page_templates import templates
from aemon.web.pages.shared_status import SharedStatus
from aemon.web.worker_threads import in_thread

ANSWER_SECONDS = 30.0  # time limit of an answer, also if the database does not answer at all
AT_ONCE = 2  # pages that are filled at one time; each has a thread and a connection
MOST_WAITING = 64  # requests that wait for their turn
T = TypeVar("T")

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
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._waiting = 0

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
            found = {"may_write": writes, "path": path, **contents(self.part(client))}
            return html(template, found, small=small)

        key = (str(request.url.query), client.monitors, writes, small)
        try:
            if shared:
                return await self.run(lambda: self.status.made((path, *key), filled))
            return await self.run(filled)
        except AemonError as error:
            return error_page(error, path)

    async def change(
        self, request: Request, change: Callable[[Installation], None], then: str
    ) -> Response:
        """Make a change, and send the browser to the page `then`, which shows the change."""
        try:
            client = client_of(request.scope)
            await self.run(lambda: change(self.part(client)))
        except AemonError as error:
            return error_page(error, request.url.path)
        return RedirectResponse(then, HTTPStatus.SEE_OTHER)

    def status_for(self, request: Request) -> StatusPage:
        """Return the status of the daemon, with only the monitors that the client may know."""
        client, status = client_of(request.scope), self.status()
        return status if client.monitors is None else status.narrowed(client.knows)

    def part(self, client: Client) -> Installation:
        """Return the part of the installation that a client may know, for changes by the client."""
        whole = self.installation()
        actor = Actor(who=client.name, origin="page", address=client.address)
        return whole.narrowed(client.known(whole.config.monitors), actor)

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of work in a thread.

        Raises:
            SlowQueryError: the work takes longer than `ANSWER_SECONDS`.
            ResourceError: too many requests wait.
        """
        if self._waiting >= MOST_WAITING:
            raise ResourceError("too many requests wait", todo="try again in a second")
        self._waiting += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await in_thread(work, self._threads)
        except TimeoutError:
            raise SlowQueryError(
                "this takes too long; the store may hang", todo="try again later, or ask for less"
            ) from None
        finally:
            self._waiting -= 1


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
