"""Serving the application from a thread of the daemon."""

import socket
import threading
from collections.abc import Callable

import uvicorn

from aemon.errors import ConfigError
from aemon.web.app import build_app
from aemon.web.status import Health, StatusPage

_STOP_SECONDS = 1


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
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"http.listen: cannot listen on {address}: {error.strerror or error}",
            todo="stop what uses the port, or choose another address in http.listen",
        ) from error
    return listener


class WebServer:
    """Uvicorn in a thread, on a socket that is bound already."""

    def __init__(
        self,
        listener: socket.socket,
        status: Callable[[], StatusPage],
        health: Callable[[], Health],
        exposed: Callable[[], bytes],
    ) -> None:
        config = uvicorn.Config(
            build_app(status, health, exposed),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_STOP_SECONDS,
            server_header=False,
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish answers in hand and let go of the socket."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS + 1)
        self._listener.close()
