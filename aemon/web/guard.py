"""Stands before the application: who asks, what they may do, and how much they may send."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aemon.clock import shortened
from aemon.config.web_settings import Permission
from aemon.errors import ResourceError
from aemon.logs import Action
from aemon.web.access import Access
from aemon.web.credentials import CrowdedError, PasswordChecks
from aemon.web.host_names import HostNames, is_known

CROWDED = "crowded"
"""In the state of a request: all other connections are busy, so nothing is answered but a probe."""

_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
OPEN_PATH = "/healthz"  # for probes, which know nothing and learn nothing but that
READS = frozenset({"GET", "HEAD", "OPTIONS"})
LINGER_SECONDS = 1.0  # that somebody who still sends is given to read why they are refused
LINGER_BYTES = 1 << 20  # of theirs that are taken meanwhile
PART_BYTES = 1 << 18  # of a long answer that are sent at once
TELL_EVERY_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused, whoever asks.

    Attributes:
        max_body: a larger body, in bytes.
        hosts: a request under a name that is not among these; None where any will do.
    """

    max_body: int = 10_000_000
    hosts: HostNames | None = None


class Guard:
    """An ASGI application around another one.

    A method that may change something takes the permission `push`, any other `read`: a route that
    is pushed to has nothing to ask for itself, and may trust that its body is no larger than
    `max_body` bytes. Each refusal is told to `refused`, by its status.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Callable[[], Access],
        limits: Limits,
        refused: Callable[[int], None],
    ) -> None:
        self._app = app
        self._refused = refused
        self._access = access
        self._limits = limits
        self._checks = PasswordChecks()
        self._denied = Seldom()
        self._misdirected = Seldom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return
        access = self._access()
        exchange = _Exchange(scope, receive, send, access.headers, self._limits.max_body)
        try:
            await self._admit(scope, access)
            exchange.refuse_length()
        except HTTPException as refusal:
            self._refused(refusal.status_code)
            answer = PlainTextResponse(refusal.detail, refusal.status_code, refusal.headers)
            for challenge in (
                access.credentials.challenges
                if refusal.status_code == HTTPStatus.UNAUTHORIZED
                else ()
            ):
                answer.headers.append("WWW-Authenticate", challenge)
            answer.headers["Connection"] = "close"
            await answer(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, exchange.receive, exchange.send)

    async def _admit(self, scope: Scope, access: Access) -> None:
        reads = scope["method"] in READS
        if reads and scope["path"] == OPEN_PATH:
            return
        if scope.get("state", {}).get(CROWDED):
            raise _refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are being answered"
            )
        host = Headers(scope=scope).get("host", "")
        if not is_known(host, self._limits.hosts):
            self._misdirected.log(Action.WEB_HOST, host=shortened(host))
            why = "nothing is known here under this name; http.hosts lists those that are"
            raise _refusal(HTTPStatus.MISDIRECTED_REQUEST, why)
        if not access.bucket.allows():
            raise _refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests")
        needed: Permission = "read" if reads else "push"
        granted = access.credentials.of_everybody
        if granted is None:
            granted = await self._permissions(scope, access)
        if needed not in granted:
            raise _refusal(HTTPStatus.FORBIDDEN, f"this takes the permission {needed}")

    async def _permissions(self, scope: Scope, access: Access) -> frozenset[Permission]:
        address = scope["client"][0] if scope.get("client") else ""
        shown = Headers(scope=scope).get("authorization", "")
        try:
            granted = await access.credentials.permissions(shown, address, self._checks)
        except CrowdedError:
            why = "too many passwords are waiting to be checked"
            raise _refusal(HTTPStatus.TOO_MANY_REQUESTS, why) from None
        except ResourceError as error:
            raise _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        if granted is None:
            if shown:
                self._denied.log(Action.WEB_DENIED, address=address)
            raise _refusal(HTTPStatus.UNAUTHORIZED, "this takes credentials")
        return granted


class Seldom:
    """Logs what somebody may do often, but no line for each time."""

    def __init__(self) -> None:
        self._times = 0
        self._next_at = 0.0

    def log(self, action: Action, **fields: str) -> None:
        """Log it, with how many times it was since, unless that was done a moment ago."""
        self._times += 1
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + TELL_EVERY_SECONDS
        logger.warning("", extra={"action": action, **fields, "times": self._times})
        self._times = 0


def _refusal(status: HTTPStatus, why: str) -> HTTPException:
    again = {"Retry-After": "1"} if status in _LATER else None
    return HTTPException(status, f"{why}\n", again)


class _Exchange:
    """One request and its answer: counts the body, adds the headers, ends what is not finished."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: tuple[tuple[bytes, bytes], ...],
        max_body: int,
    ) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self._max_body = self._left = max_body
        self._last = bool(scope.get("state", {}).get(CROWDED))
        sent = Headers(scope=scope)
        self._length = int(sent.get("content-length", 0))  # the server has seen that it is a number
        self._body_comes = self._length > 0 or "transfer-encoding" in sent

    def refuse_length(self) -> None:
        """Refuse a body that says itself that it is too large.

        Raises:
            HTTPException: it does.
        """
        if self._length > self._max_body:
            raise self._too_large()

    def _too_large(self) -> HTTPException:
        why = f"the body is larger than {self._max_body} bytes (http.max_body)"
        return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            HTTPException: with it, there is more than may be; the application answers so.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            self._body_comes = message.get("more_body", False)
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Answer. Where the request is not read to its end, the connection has no other use."""
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            names = {name for name, _ in own}
            own += [header for header in self._headers if header[0] not in names]
            if (self._body_comes or self._last) and b"connection" not in names:
                own.append((b"connection", b"close"))
            message = {**message, "headers": own}
        elif self._body_comes and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send_in_parts(message)

    async def _send_in_parts(self, message: Message) -> None:
        """One part is written when the one before has been read.

        So many who do not read hold one page in memory, and not one each.
        """
        body = memoryview(message.get("body", b""))
        while len(body) > PART_BYTES:
            part = {**message, "body": bytes(body[:PART_BYTES]), "more_body": True}
            await self._send(part)
            body = body[PART_BYTES:]
            message = {**message, "body": bytes(body) if len(body) <= PART_BYTES else b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Give somebody who still sends the time to hear: closing at once would cut the answer."""
        taken = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while taken < LINGER_BYTES:
                    message = await self._receive()
                    taken += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
                await asyncio.sleep(LINGER_SECONDS)
