"""Connections to the port: their number, and the time limits of each."""

import asyncio
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from aemon.web.access import Access
from aemon.web.guard import CROWDED
from aemon.web.tls import is_allowed

MOST = 100
"""The most connections at one time. Connections, sources and the store need open files."""

MOST_SPARE = 20  # further connections for probes: only `/healthz` is answered there

FEW = 0.1
"""While at most this share of connections waits, each of them may wait for `GRACE_SECONDS`."""

GRACE_SECONDS = 0.5

HEAD_SECONDS = 5.0  # from the first byte, or the connection, to the end of a request's head
HEAD_BYTES = 16 * 1024
REQUEST_SECONDS = 30.0  # from the end of the head until the client has read the whole answer
IDLE_SECONDS = 75  # between two requests; a scrape every minute keeps its connection


class Gate:
    """The open connections. If there are too many, the one that has waited longest is closed.

    A connection waits unless its whole request has arrived and is being answered. If the requests
    of nearly all connections are being answered, a new connection becomes one of a few spare
    connections, and the oldest spare connection is closed for it. So a client that only holds
    connections cannot keep other clients out, and probes are always answered.
    """

    def __init__(self, most: int = MOST, spare: int = MOST_SPARE) -> None:
        self._most, self._most_spare = most, spare
        self._spare: dict[Connection, None] = {}  # oldest first
        self._open: set[Connection] = set()
        self._waiting: dict[
            Connection, float
        ] = {}  # -> start of waiting (monotonic), longest first

    def admit(self, connection: "Connection") -> None:
        """Add a connection, and close another one if there are too many."""
        if len(self._open) < self._most:
            self._open.add(connection)
        elif self._may_close_waiting():
            self._end(next(iter(self._waiting)))
            self._open.add(connection)
        else:
            if len(self._spare) >= self._most_spare:
                self._end(next(iter(self._spare)))
            connection.crowd()
            self._spare[connection] = None

    def _may_close_waiting(self) -> bool:
        """Return whether the connection that has waited longest had time to send its request.

        Without this check, new connections would close each other while the requests of nearly
        all other connections are being answered.
        """
        since = next(iter(self._waiting.values()), None)
        if since is None:
            return False
        return len(self._waiting) > FEW * self._most or time.monotonic() - since > GRACE_SECONDS

    def _end(self, connection: "Connection") -> None:
        self.leave(connection)
        connection.cut()

    def waits(self, connection: "Connection") -> None:
        """Note that a connection waits, and may be closed."""
        if connection in self._open:
            self._waiting.setdefault(connection, time.monotonic())

    def works(self, connection: "Connection") -> None:
        """Note that the request of a connection is being answered, so that it stays open."""
        self._waiting.pop(connection, None)

    def leave(self, connection: "Connection") -> None:
        """Remove a connection."""
        self._open.discard(connection)
        self._spare.pop(connection, None)
        self._waiting.pop(connection, None)


class Connection(H11Protocol):
    """Uvicorn's protocol with a time limit for everything that a client can delay.

    Uvicorn itself waits without limit for the rest of a head or a body, and for a client that does
    not read its answer.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, gate: Gate, access: Callable[[], Access]
    ) -> None:
        super().__init__(config, state, {})
        self.handshake: asyncio.Task[None] | None = None
        self._gate = gate
        self._access = access
        self._end: asyncio.TimerHandle | None = None
        self._answering = False

    def crowd(self) -> None:
        """Mark the connection as spare: the application answers only a probe, then closes."""
        self.app_state[CROWDED] = True

    def cut(self) -> None:
        """Close the connection at once, in any state."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None:
            transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        tls = self._access().settings.tls_server_config
        if tls and tls.client_allowed_sans:
            certificate: dict[str, Any] | None = transport.get_extra_info("peercert")
            if not is_allowed(certificate, tls.client_allowed_sans):
                transport.abort()
                return
        self._end_in(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Pass data on to uvicorn, and set the time limit of the present state."""
        if self._end is None:
            self._end_in(HEAD_SECONDS)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request, which may have arrived already."""
        self._answering = False
        self._gate.waits(self)
        if not self.transport.get_write_buffer_size():
            # Uvicorn closes idle connections. An answer that is not read yet keeps its time limit.
            self._end_in(None)
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Note that the client does not read its answer: the connection may be closed."""
        super().pause_writing()
        self._gate.waits(self)

    def resume_writing(self) -> None:
        """Note that the client reads its answer again."""
        super().resume_writing()
        if self._answering:
            self._gate.works(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the time limit, and the connection from the gate."""
        self._end_in(None)
        self._gate.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP with an error, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            # The body is broken in the middle of a request: the client would not understand an
            # answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.abort()
            return
        status = HTTPStatus(getattr(sys.exception(), "error_status_hint", HTTPStatus.BAD_REQUEST))
        body = f"{msg}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *self._access().headers,
        ]
        answer = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _look(self) -> None:
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        if not self._answering:
            self._answering = True
            self._end_in(REQUEST_SECONDS)
        if not cycle.more_body:
            self._gate.works(self)

    def _end_in(self, seconds: float | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = None if seconds is None else self.loop.call_later(seconds, self._ended)

    def _ended(self) -> None:
        """Close the connection at its time limit, unless the client has read its whole answer."""
        self._end = None
        idle = (
            self.cycle is not None
            and self.cycle.response_complete
            and not self.transport.get_write_buffer_size()
            and not self.conn.trailing_data[0]
        )
        if not idle:
            self.cut()
