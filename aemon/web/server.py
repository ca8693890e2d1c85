"""The web server in a thread of the daemon."""

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
LOOK_EVERY_SECONDS = 1.0  # pause between two looks for a changed configuration or certificate
BACKLOG = 512
_STOP_SECONDS = 1

logger = logging.getLogger(__name__)


def listen(address: str) -> socket.socket:
    """Return a socket that listens on `host:port`; port 0 chooses a free port.

    Raises:
        ConfigError: the address is in use, or not an address of this machine.
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
    """Uvicorn in a thread, on a bound socket.

    Args:
        listener: the bound socket.
        app: the application.
        access: the web configuration, with the certificate of the server.
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
            proxy_headers=False,  # X-Forwarded-For can be forged
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
            h11_max_incomplete_event_size=HEAD_BYTES,
            server_header=False,
        )
        self._listener = listener
        self._server = _Server(config, access)
        self.threads: list[threading.Thread] = []  # the serving thread, after the start

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Serve from now on.

        Raises:
            ResourceError: the machine cannot start another thread.
        """
        self.threads.append(start_thread(self._serve, "web"))

    def stop(self) -> None:
        """Finish current answers and close the socket."""
        self._server.should_exit = True
        for thread in self.threads:
            thread.join(_STOP_SECONDS + 1)
        self._listener.close()


class _Server(uvicorn.Server):
    """Uvicorn's server, changed to accept connections itself and count them before the handshake.

    Each TLS handshake uses the certificate that is loaded at that time.
    """

    def __init__(self, config: uvicorn.Config, access: WatchedAccess) -> None:
        super().__init__(config)
        self._access = access
        self._gate = Gate()
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections from now on."""
        self.servers: list[asyncio.base_events.Server] = []
        for listener in sockets or ():
            listener.setblocking(False)
            self._keep(self._accept(listener))
        self._keep(self._watch())
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and finish current answers."""
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
            except ResourceError:  # the next attempt is in a second
                continue

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # probably too many open files, of which some may close soon
                logger.error(str(error), extra={"action": Action.WEB_STALLED})  # noqa: TRY400
                await asyncio.sleep(1)
                continue
            connection = Connection(
                self.config, self.server_state, self._gate, lambda: self._access.now
            )
            self._gate.admit(connection)
            self._keep(self._meet(connection, accepted))
            await asyncio.sleep(0)  # open connections have their turn between two new ones

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
        except OSError:  # the handshake failed, or took too long
            self._gate.leave(connection)
        except asyncio.CancelledError:
            self._gate.leave(connection)
            raise
