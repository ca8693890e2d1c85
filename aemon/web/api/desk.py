"""The desk of the API: answers requests by operations, in a few threads, within a time limit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aemon.config.web_settings import Permission
from aemon.errors import ResourceError, SlowQueryError
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.operations.status_report import StatusPage
from aemon.records import Actor
from aemon.web.client import Client, client_of
from aemon.web.worker_threads import in_thread

QUERY_SECONDS = 10.0  # time limit of the queries of a request, enforced by the database
ANSWER_SECONDS = 30.0  # time limit of an answer, also if the database does not answer at all
AT_ONCE = 4  # requests that are answered at one time; each has a thread and a connection
MOST_WAITING = 64  # requests that wait for their turn

T = TypeVar("T")
Operation = Callable[[Installation], Any]


class Desk:
    """Answers requests of the API.

    Args:
        installation: returns the present configuration and the store for the API.
        status: returns the status page; it may take long.
    """

    def __init__(
        self, installation: Callable[[], Installation], status: Callable[[], StatusPage]
    ) -> None:
        self._installation = installation
        self.status = status
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._waiting = 0

    async def run(self, client: Client, work: Callable[[Installation], T]) -> T:
        """Return the result of work on the part of the installation that a client may know.

        The work is done in a thread, within the time limit.

        Raises:
            SlowQueryError: the work takes longer than `ANSWER_SECONDS`.
            ResourceError: too many requests wait.
        """
        if self._waiting >= MOST_WAITING:
            raise ResourceError("too many requests wait", todo="try again in a second")
        self._waiting += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await in_thread(lambda: work(self._part(client)), self._threads)
        except TimeoutError:
            raise SlowQueryError(
                "this takes too long; the store may hang", todo="try again later, or ask for less"
            ) from None
        finally:
            self._waiting -= 1

    def _part(self, client: Client) -> Installation:
        whole = self._installation()
        actor = Actor(who=client.name, origin="api", address=client.address)
        return whole.narrowed(client.known(whole.config.monitors), actor)


@dataclass(frozen=True)
class RequestDesk:
    """The desk for one request, whose client may know only some monitors.

    Attributes:
        desk: the desk.
        client: the client of the request.
    """

    desk: Desk
    client: Client

    def require(self, scope: Permission) -> None:
        """Check that the client has a scope.

        Raises:
            HTTPException: the client may not do this.
        """
        if not self.client.may(scope):
            raise HTTPException(HTTPStatus.FORBIDDEN, f"this needs the permission {scope}")

    async def answer(self, operation: Operation, status: int = HTTPStatus.OK) -> Response:
        """Return the result of an operation on the installation as JSON.

        Raises:
            AemonError: the operation failed.
            SlowQueryError: the answer takes longer than `ANSWER_SECONDS`.
            ResourceError: too many requests wait.
        """
        body = await self.run(lambda installation: to_json(operation(installation)))
        return Response(body, status, media_type="application/json")

    async def run(self, work: Callable[[Installation], T]) -> T:
        """Return the result of work on the part of the installation that the client may know.

        Raises:
            AemonError: the work failed, or takes too long.
        """
        return await self.desk.run(self.client, work)


def _desk_of(request: Request) -> RequestDesk:
    return RequestDesk(request.app.state.desk, client_of(request.scope))


TheDesk = Annotated[RequestDesk, Depends(_desk_of)]
"""The desk for a request, as a parameter of a handler."""
