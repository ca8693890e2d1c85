"""Serving the application from a thread of the daemon."""

import asyncio
import logging
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from aemon.errors import ConfigError, ResourceError
from aemon.logs import Action
from aemon.threads import start_thread
from aemon.web.access import WatchedAccess
from aemon.web.connections import HEAD_BYTES, IDLE_SECONDS, Connection, Gate
from aemon.web.worker_threads import in_thread

if TYPE_CHECKING:
    import threading

HANDSHAKE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 1.0  # at the web configuration and the certificate
BACKLOG = 512
_STOP_SECONDS = 1

logger = logging.getLogger(__name__)


def listen(address: str) -> socket.socket:
    """Bind `host:port`; port 0 takes a free one.

    Raises:
        ConfigError: the address is taken or not this machine's.
    """
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bare, int(port)))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"http.listen: cannot listen on {address}: {error.strerror or error}",
            todo="stop what uses the port, or choose another address in http.listen",
        ) from error
    return listener


class WebServer:
    """Uvicorn in a thread, on a socket that is bound already.

    Args:
        listener: the socket.
        app: the application.
        access: who may ask for what, with the certificates that are shown.
    """

    def __init__(
        self, listener: socket.socket, app: ASGIApp, access: WatchedAccess | None = None
    ) -> None:
        access = access or WatchedAccess(None)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # nobody is asked who else they come from
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
            h11_max_incomplete_event_size=HEAD_BYTES,
            server_header=False,
        )
        self._listener = listener
        self._server = _Server(config, access)
        self.threads: list[threading.Thread] = []  # the one that serves, once it was started

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Serve from now on.

        Raises:
            ResourceError: the machine has no thread to give.
        """
        self.threads.append(start_thread(self._serve, "web"))

    def stop(self) -> None:
        """Finish answers in hand and let go of the socket."""
        self._server.should_exit = True
        for thread in self.threads:
            thread.join(_STOP_SECONDS + 1)
        self._listener.close()


class _Server(uvicorn.Server):
    """Uvicorn's server, which accepts connections itself: it counts them before it shakes hands.

    Each is met with the certificate that is in use at that time.
    """

    def __init__(self, config: uvicorn.Config, access: WatchedAccess) -> None:
        super().__init__(config)
        self._access = access
        self._gate = Gate()
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from now on."""
        self.servers: list[asyncio.base_events.Server] = []
        for listener in sockets or ():
            listener.setblocking(False)
            self._keep(self._accept(listener))
        self._keep(self._watch())
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and finish."""
        for task in self._tasks:
            task.cancel()
        await super().shutdown(sockets)

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                await in_thread(self._access.look)
            except ResourceError:  # tried again in a second
                continue

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # too many open files, most likely: some may be closed soon
                logger.error(str(error), extra={"action": Action.WEB_STALLED})  # noqa: TRY400
                await asyncio.sleep(1)
                continue
            connection = Connection(
                self.config, self.server_state, self._gate, lambda: self._access.now
            )
            self._gate.admit(connection)
            self._keep(self._meet(connection, accepted))
            await asyncio.sleep(0)  # those who are connected have their turn between two newcomers

    async def _meet(self, connection: Connection, accepted: socket.socket) -> None:
        connection.handshake = asyncio.current_task()
        self._gate.waits(connection)
        context = self._access.now.tls
        seconds = HANDSHAKE_SECONDS if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=context,
                ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds,
            )  # fmt: skip
        except OSError:  # no handshake, or none in time
            self._gate.leave(connection)
        except asyncio.CancelledError:
            self._gate.leave(connection)
            raise
