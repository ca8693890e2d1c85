"""A receiver of notifications for tests: a real HTTP server with prepared answers."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK: tuple[int, dict[str, str], bytes] = (200, {}, b"ok")


@dataclass(frozen=True)
class Heard:
    """A request that arrived at the receiver."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float  # time of arrival, monotonic seconds


@dataclass
class Receiver:
    """A receiver of notifications: the requests that arrived, and the prepared answers.

    Attributes:
        port: port of the server, on 127.0.0.1.
        heard: the requests, in order of arrival.
        answers: an answer for each request, in order: (status, headers, body), or an action in
            place of an answer: `hang`, `drip`, `cut`, `reset`.
        always: the answer to every request after all `answers` have been used.
        over: event that is set when the server ends.
    """

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    always: Any = OK
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address for notifications, with a secret in its path."""
        return f"http://127.0.0.1:{self.port}/hook/s3cret"

    def bodies(self, **fields: Any) -> list[Any]:
        """Return the bodies of requests that have these fields with these values."""
        return [
            heard.body
            for heard in self.heard
            if all(heard.body.get(k) == v for k, v in fields.items())
        ]

    def events(self) -> list[tuple[int, str]]:
        """Return (episode, event) of the requests, in order."""
        return [(heard.body["episode"], heard.body["event"]) for heard in self.heard]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        """Store a request and answer it."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.receiver.answers.pop(0) if self.receiver.answers else self.receiver.always
        heard = Heard(self.path, dict(self.headers), json.loads(content), time.monotonic())
        self.receiver.heard.append(heard)
        if isinstance(answer, str):
            getattr(self, f"_{answer}")()
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _hang(self) -> None:
        self.receiver.over.wait(30)
        self.close_connection = True

    def _drip(self) -> None:
        """Send an endless status line, one character at a time."""
        try:
            self.wfile.write(b"HTTP/1.1 ")
            while not self.receiver.over.wait(0.05):
                self.wfile.write(b"2")
        except OSError:
            self.close_connection = True

    def _cut(self) -> None:
        self.close_connection = True

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Yield a receiver that listens on a given port, or on a free port."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
