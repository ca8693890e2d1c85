"""Connections to the port: how many there may be, and how long each may take for what."""

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
"""Connections at once. Each takes a file, and sources and store need files, too."""

MOST_SPARE = 20  # beyond those, for probes: anything but `/healthz` is refused there

FEW = 0.1
"""Where no larger share of the connections waits, none goes before it has waited for a while."""

GRACE_SECONDS = 0.5  # that while

HEAD_SECONDS = 5.0  # from the first byte, or the connection, to the end of a request's head
HEAD_BYTES = 16 * 1024
REQUEST_SECONDS = 30.0  # from there until the last byte of the answer has been taken
IDLE_SECONDS = 75  # between two requests; a scrape every minute keeps its connection


class Gate:
    """Counts connections. When there are too many, the one that has waited longest has to go.

    Those that wait are all but the ones whose request is here as a whole and is being answered:
    where nearly all are, a newcomer gets one of a few spare connections, whose oldest goes for it.
    So nobody who just holds connections keeps others out, and probes are always answered.
    """

    def __init__(self, most: int = MOST, spare: int = MOST_SPARE) -> None:
        self._most, self._most_spare = most, spare
        self._spare: dict[Connection, None] = {}  # oldest first
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, float] = {}  # since when (monotonic), longest first

    def admit(self, connection: "Connection") -> None:
        """Count one in, and make room for it."""
        if len(self._open) < self._most:
            self._open.add(connection)
        elif self._had_their_time():
            self._end(next(iter(self._waiting)))
            self._open.add(connection)
        else:
            if len(self._spare) >= self._most_spare:
                self._end(next(iter(self._spare)))
            connection.crowd()
            self._spare[connection] = None

    def _had_their_time(self) -> bool:
        """Return whether the one that has waited longest had the time to send its request.

        Where nearly all are being answered, newcomers would else end each other at once.
        """
        since = next(iter(self._waiting.values()), None)
        if since is None:
            return False
        return len(self._waiting) > FEW * self._most or time.monotonic() - since > GRACE_SECONDS

    def _end(self, connection: "Connection") -> None:
        self.leave(connection)
        connection.cut()

    def waits(self, connection: "Connection") -> None:
        """It can be cut off."""
        if connection in self._open:
            self._waiting.setdefault(connection, time.monotonic())

    def works(self, connection: "Connection") -> None:
        """It should not be cut off."""
        self._waiting.pop(connection, None)

    def leave(self, connection: "Connection") -> None:
        """Count one out."""
        self._open.discard(connection)
        self._spare.pop(connection, None)
        self._waiting.pop(connection, None)


class Connection(H11Protocol):
    """Uvicorn's protocol, with an end to everything that somebody may draw out.

    Uvicorn itself waits for ever for the rest of a head or a body, and for an answer to be read.
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
        """Mark it as one too many: the application answers nothing but a probe, and closes it."""
        self.app_state[CROWDED] = True

    def cut(self) -> None:
        """End it at once, whatever it does."""
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
            shown: dict[str, Any] | None = transport.get_extra_info("peercert")
            if not is_allowed(shown, tls.client_allowed_sans):
                transport.abort()
                return
        self._end_in(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Take what comes, and see what is due now."""
        if self._end is None:
            self._end_in(HEAD_SECONDS)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request, which may be here already."""
        self._answering = False
        self._gate.waits(self)
        if not self.transport.get_write_buffer_size():
            self._end_in(None)  # uvicorn ends what is idle; an answer must still be read in time
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Its answer is not read: it waits like others, and can be cut off for a newcomer."""
        super().pause_writing()
        self._gate.waits(self)

    def resume_writing(self) -> None:
        """It is read again."""
        super().resume_writing()
        if self._answering:
            self._gate.works(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._end_in(None)
        self._gate.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and end it."""
        if self.cycle is not None and not self.cycle.response_complete:
            # Its body broke off in the middle: there is nothing to tell that would be understood.
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
        """It has taken too long, unless it only was answered late in being read, and is idle now."""
        self._end = None
        idle = (
            self.cycle is not None
            and self.cycle.response_complete
            and not self.transport.get_write_buffer_size()
            and not self.conn.trailing_data[0]
        )
        if not idle:
            self.cut()
