"""The desk of the API: answers requests by operations, in a few threads, within a time limit."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aemon.config.web_settings import Permission
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.operations.status_report import StatusPage
from aemon.web.answering import Answering
from aemon.web.client import Client, client_of

QUERY_SECONDS = 10.0  # time limit of the queries of a request, enforced by the database
AT_ONCE = 4  # requests that are answered at one time

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
        self._answering = Answering(AT_ONCE)

    async def run(self, client: Client, work: Callable[[Installation], T]) -> T:
        """Return the result of work on the part of the installation that a client may know.

        The work is done in a thread, within the time limit.

        Raises:
            SlowQueryError: the work takes longer than `answering.ANSWER_SECONDS`.
            ResourceError: too many requests wait.
        """
        return await self._answering.run(lambda: work(client.part_of(self._installation(), "api")))


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
            SlowQueryError: the answer takes longer than `answering.ANSWER_SECONDS`.
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
