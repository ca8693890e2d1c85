"""The web application behind its guard: `/status.json`, `/metrics`, `/healthz`, `/readyz`."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from aemon.errors import AemonError, ResourceError
from aemon.operations.json_form import to_json
from aemon.operations.status_report import Health, StatusPage
from aemon.web.accepted_encodings import takes_gzip
from aemon.web.access import Access, load_access
from aemon.web.guard import OPEN_PATH, Guard, Limits
from aemon.web.refusals import refusal_answer
from aemon.web.worker_threads import in_thread


def build_app(
    status: Callable[[], StatusPage],
    health: Callable[[], Health],
    exposed: Callable[[], bytes],
    access: Callable[[], Access] | None = None,
    *,
    limits: Limits | None = None,
    refused: Callable[[int], None] = lambda _status: None,
) -> ASGIApp:
    """Build the application, with a guard that checks each request first.

    Args:
        status: returns the status page; it may take long, and is called in a thread.
        health: returns the health; it must return at once.
        exposed: returns the text of `/metrics`; called in threads.
        access: returns the present access; if it is left out, every client may read.
        limits: limits for all clients.
        refused: called with the status of every refused request.
    """
    return guarded(
        routes(status, health, exposed),
        access or partial(load_access, None),
        limits=limits or Limits(),
        refused=refused,
    )


def guarded(
    behind: Sequence[BaseRoute],
    access: Callable[[], Access],
    *,
    limits: Limits,
    refused: Callable[[int], None],
) -> ASGIApp:
    """Build an application of these routes with a guard; the arguments are as in `build_app`."""
    app = Starlette(routes=list(behind), exception_handlers={HTTPException: _on_refusal})
    return Guard(app, access, limits, refused)


async def _on_refusal(request: Request, error: Exception) -> Response:
    """Answer a path that no route has, or a method that its route has not."""
    if not isinstance(error, HTTPException):
        raise error
    return refusal_answer(error, request.scope["path"])


def routes(
    status: Callable[[], StatusPage], health: Callable[[], Health], exposed: Callable[[], bytes]
) -> list[Route]:
    """Build the routes, without a guard; the arguments are as in `build_app`."""

    def status_json() -> Response:
        return Response(to_json(status().as_json()), media_type="application/json")

    def metrics() -> Response:
        return Response(exposed(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    def compressed() -> Response:
        plain = metrics()
        # The fastest level: lines are so similar that higher levels gain little.
        headers = {**plain.headers, "Content-Encoding": "gzip"}
        del headers["content-length"]
        return Response(gzip.compress(plain.body, 1), headers=headers)

    async def healthz(_request: Request) -> Response:
        now = health()
        code = HTTPStatus.OK if now.alive else HTTPStatus.SERVICE_UNAVAILABLE
        return PlainTextResponse(f"{now.summary}\n", code)

    async def readyz(_request: Request) -> Response:
        if health().started:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("starting\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return [
        Route("/status.json", _rendered(_or_unavailable(status_json))),
        Route("/metrics", _rendered(metrics, compressed)),
        Route(OPEN_PATH, healthz),
        Route("/readyz", readyz),
    ]


def _or_unavailable(render: Callable[[], Response]) -> Callable[[], Response]:
    """Return a function that renders, and answers an `AemonError` with its text and 503."""

    def rendered() -> Response:
        try:
            return render()
        except AemonError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return rendered


def _rendered(
    render: Callable[[], Response], compressed: Callable[[], Response] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that renders once for all clients that wait for the page."""
    page = Page(render)
    small = Page(compressed) if compressed else page

    async def handler(request: Request) -> Response:
        chosen = small if takes_gzip(request.headers.get("accept-encoding", "")) else page
        try:
            return await chosen.get()
        except TimeoutError:
            reason = "this takes too long; the store may hang\n"
            return PlainTextResponse(reason, HTTPStatus.SERVICE_UNAVAILABLE)
        except ResourceError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return handler


PAUSE_FACTOR = 3.0  # a pause is this many times as long as a rendering: at most a quarter of a core
PATIENCE_SECONDS = 20.0


class Page:
    """A page that is rendered in a thread, one rendering at a time.

    A request gets a page whose rendering began after the request. Requests during a rendering
    share the next rendering.
    """

    def __init__(self, render: Callable[[], Response]) -> None:
        self._render = render
        self._current: asyncio.Task[Response] | None = None
        self._next: asyncio.Task[Response] | None = None
        self._pause_until = 0.0  # by the monotonic clock, in seconds

    async def get(self) -> Response:
        """Return the next rendering of the page.

        Raises:
            TimeoutError: rendering takes longer than `PATIENCE_SECONDS`.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._current))
        return await asyncio.wait_for(asyncio.shield(self._next), PATIENCE_SECONDS)

    async def _after(self, other: asyncio.Task[Response] | None) -> Response:
        if other is not None and not other.done():
            await asyncio.wait([other])
        await asyncio.sleep(self._pause_until - time.monotonic())
        self._current, self._next = self._next, None
        began = time.monotonic()
        try:
            return await in_thread(self._render)
        finally:
            self._pause_until = time.monotonic() + PAUSE_FACTOR * (time.monotonic() - began)
