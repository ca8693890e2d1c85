"""A receiver of notifications: a real HTTP server, told how to answer."""

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

OK = (200, {}, b"ok")


@dataclass(frozen=True)
class Heard:
    """A request."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float  # monotonic


@dataclass
class Receiver:
    """What was heard, and what is answered.

    `answers` are (status, headers, body), or what is done instead: `hang`, `drip`, `cut`, `reset`;
    the first is for the first request, and after the last it is 200.
    """

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    always: Any = OK
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/s3cret"

    def bodies(self, **fields: Any) -> list[Any]:
        """The bodies whose fields are these."""
        return [h.body for h in self.heard if all(h.body.get(k) == v for k, v in fields.items())]

    def events(self) -> list[tuple[int, str]]:
        """(episode, event) of what was heard, in order."""
        return [(h.body["episode"], h.body["event"]) for h in self.heard]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.receiver.answers.pop(0) if self.receiver.answers else self.receiver.always
        said = Heard(self.path, dict(self.headers), json.loads(content), time.monotonic())
        self.receiver.heard.append(said)
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
        """A status line and then a header that never ends, a letter at a time."""
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
        pass


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens, on a given port or a free one."""
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
