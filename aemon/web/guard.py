"""The guard before the application: host name, rate, credentials, permissions, body size."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aemon.clock import shortened
from aemon.config.web_settings import Permission
from aemon.errors import ResourceError
from aemon.logs import Action
from aemon.web.access import Access
from aemon.web.client import Client, is_same_origin, set_client
from aemon.web.credentials import CrowdedError, PasswordChecks
from aemon.web.host_names import HostNames, is_known
from aemon.web.refusals import is_api, is_page, is_push, refusal, refusal_answer

CROWDED = "crowded"
"""Key in a request's state: all other connections are busy, so only a probe is answered."""

OPEN_PATH = "/healthz"  # for probes: open without credentials, and shows only the health
READS = frozenset({"GET", "HEAD", "OPTIONS"})
LINGER_SECONDS = 1.0  # time for a client that still sends to read why it is refused
LINGER_BYTES = 1 << 20  # the most bytes that are read from such a client
PART_BYTES = 1 << 18  # size of the parts in which a long answer is sent
LOG_EVERY_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for the requests of all clients.

    Attributes:
        max_body: largest body, in bytes.
        hosts: known host names; None if any name is allowed.
    """

    max_body: int = 10_000_000
    hosts: HostNames | None = None


class Guard:
    """An ASGI application that checks requests before it passes them to another application.

    A method that may change something needs the permission `push`, or `feedback` under the API;
    other methods need `read`. Routes for pushed records therefore check only the monitor. Bodies
    have at most `max_body` bytes. `refused` is called with the status of each refusal. The client
    of an admitted request is in its scope (`client_of`).
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
        self._denied = RareLog()
        self._misdirected = RareLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or refuse the request and answer with the reason."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return
        access = self._access()
        exchange = _Exchange(scope, receive, send, access.headers, self._limits.max_body)
        try:
            await self._admit(scope, access)
            exchange.refuse_length()
        except HTTPException as refused:
            self._refused(refused.status_code)
            answer = refusal_answer(refused, scope["path"])
            for challenge in (
                access.credentials.challenges
                if refused.status_code == HTTPStatus.UNAUTHORIZED
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
            raise refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are being answered")
        host = Headers(scope=scope).get("host", "")
        if not is_known(host, self._limits.hosts):
            self._misdirected.log(Action.WEB_HOST, host=shortened(host))
            reason = "this host name is unknown; add it to http.hosts if it is right"
            raise refusal(HTTPStatus.MISDIRECTED_REQUEST, reason)
        if not access.bucket.allows():
            raise refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests")
        client = await self._client(scope, access)
        needed = needed_scope(scope["method"], scope["path"])
        if not client.may(needed):
            raise refusal(HTTPStatus.FORBIDDEN, f"this needs the permission {needed}")
        narrowed = any(is_such(scope["path"]) for is_such in (is_api, is_push, is_page))
        if client.monitors is not None and not narrowed:
            reason = "this shows all monitors, and you may see only some: use the API, /api/v1"
            raise refusal(HTTPStatus.FORBIDDEN, reason)
        if not reads and is_api(scope["path"]):
            check_origin(scope["method"], Headers(scope=scope))
        set_client(scope, client)

    async def _client(self, scope: Scope, access: Access) -> Client:
        address = scope["client"][0] if scope.get("client") else ""
        headers = Headers(scope=scope)
        try:
            client = await access.credentials.client(headers, address, self._checks)
        except CrowdedError:
            reason = "too many passwords are waiting to be checked"
            raise refusal(HTTPStatus.TOO_MANY_REQUESTS, reason) from None
        except ResourceError as error:
            raise refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        if client is None:
            if "authorization" in headers:
                self._denied.log(Action.WEB_DENIED, address=address)
            raise refusal(HTTPStatus.UNAUTHORIZED, "this needs credentials")
        return client


def needed_scope(method: str, path: str) -> Permission:
    """Return the scope that a request needs at least; the API asks for more where it must.

    >>> needed_scope("GET", "/metrics"), needed_scope("POST", "/write")
    ('read', 'push')
    >>> needed_scope("POST", "/api/v1/feedback"), needed_scope("POST", "/episodes/3/label")
    ('feedback', 'feedback')
    """
    if method in READS:
        return "read"
    return "feedback" if is_api(path) or is_page(path) else "push"


def check_origin(method: str, headers: Headers) -> None:
    """Check that a change was not sent by a foreign web page, with the credentials of a browser.

    A page can send a form, or a text, to any host, but JSON only to its own host.

    Raises:
        HTTPException: the request came from a foreign page, or its body is not JSON.
    """
    if is_same_origin(headers) is False:
        raise refusal(HTTPStatus.FORBIDDEN, "a page of another origin may not change anything")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method != "DELETE" and kind != "application/json":
        reason = "the Content-Type must be application/json"
        raise refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)


class RareLog:
    """A log for events that a client may cause often, with at most one line a minute."""

    def __init__(self) -> None:
        self._times = 0
        self._next_at = 0.0

    def log(self, action: Action, **fields: str) -> None:
        """Count an event; at most once a minute, log the number of events since the last line."""
        self._times += 1
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + LOG_EVERY_SECONDS
        logger.warning("", extra={"action": action, **fields, "times": self._times})
        self._times = 0


class _Exchange:
    """One request and its answer: counts the body, adds headers, and ends an unfinished request."""

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
        self._length = int(sent.get("content-length", 0))  # the server checked that it is a number
        self._body_comes = self._length > 0 or "transfer-encoding" in sent

    def refuse_length(self) -> None:
        """Refuse a body whose `Content-Length` is too large.

        Raises:
            HTTPException: the length is too large.
        """
        if self._length > self._max_body:
            raise self._too_large()

    def _too_large(self) -> HTTPException:
        reason = f"the body is larger than {self._max_body} bytes (http.max_body)"
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            HTTPException: the body is too large with this part; the error becomes the answer.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            self._body_comes = message.get("more_body", False)
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; close the connection if a part of the request is unread."""
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
        """Send an answer in parts, each after the client has read the previous one.

        Many clients that do not read their answers then share one page in memory, not one copy
        each.
        """
        body = memoryview(message.get("body", b""))
        while len(body) > PART_BYTES:
            part = {**message, "body": bytes(body[:PART_BYTES]), "more_body": True}
            await self._send(part)
            body = body[PART_BYTES:]
            message = {**message, "body": bytes(body) if len(body) <= PART_BYTES else b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Read from a client that still sends, because closing at once would cut the answer."""
        received = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while received < LINGER_BYTES:
                    message = await self._receive()
                    received += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
                await asyncio.sleep(LINGER_SECONDS)
