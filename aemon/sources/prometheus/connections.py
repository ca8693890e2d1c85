"""Connections to one server, kept open between requests; requests have a timeout."""

import base64
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import unquote, urlsplit

from aemon import __version__
from aemon.sources.prometheus.settings import PrometheusSource

MOST_ANSWER = 32_000_000  # bytes of an answer, unpacked
_PIECE = 1 << 17
_HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts for which compressing an answer costs more than sending the answer uncompressed."""


class TooLargeError(Exception):
    """An answer is larger than `MOST_ANSWER`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A server's reply: the status, the headers (names in lower case), and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """Connections that post forms to one server, from several threads at once.

    Redirections are not followed, because the credentials would be sent to another server. Proxies
    are set by environment variables.
    """

    def __init__(self, settings: PrometheusSource) -> None:
        self._settings = settings
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path
        self._proxy = _proxy_of(parts.scheme, parts.netloc)
        self._idle: list[HTTPConnection] = []
        self._busy: set[HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._context: ssl.SSLContext | None = None

    def post(self, path: str, form: bytes, *, as_get: bool = False) -> Reply:
        """Send a form and return the answer, within the timeout of the settings.

        Raises:
            OSError: there is no connection, or no answer in time (`TimeoutError`).
            HTTPException: the answer is not HTTP.
            TooLargeError: the answer is too large.
            ValueError: a file of certificates cannot be used.
        """
        deadline = time.monotonic() + self._settings.timeout.total_seconds()
        while True:
            connection = self._borrowed()
            reused = connection.sock is not None
            try:
                reply, stays_open = self._exchange(connection, path, form, deadline, as_get)
            except (ConnectionError, HTTPException) as error:
                self._give_back(connection, stays_open=False)
                # A server may close an idle connection; only the next request finds it closed.
                if reused and not isinstance(error, TimeoutError):
                    self._close_idle()
                    continue
                raise
            except BaseException:
                self._give_back(connection, stays_open=False)
                raise
            self._give_back(connection, stays_open=stays_open)
            return reply

    def close(self) -> None:
        """Close all connections; threads that wait for an answer get an error immediately."""
        self._closed = True
        self._close_idle()
        with self._lock:
            for connection in self._busy:
                with suppress(OSError):
                    if connection.sock is not None:
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _exchange(
        self, connection: HTTPConnection, path: str, form: bytes, deadline: float, as_get: bool
    ) -> tuple[Reply, bool]:
        target = f"{self._path}/api/v1/{path}"
        if self._proxy and not self._secure:
            port = f":{self._port}" if self._port else ""
            target = f"http://{self._host}{port}{target}"
        connection.timeout = _left(deadline)
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)
        if as_get:
            connection.request("GET", f"{target}?{form.decode()}", headers=self._headers())
        else:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", target, body=form, headers=self._headers() | kind)
        sock = connection.sock  # the response keeps the socket if the server ends the connection
        sock.settimeout(_left(deadline))
        response = connection.getresponse()
        body = _read(response, sock, deadline)
        headers = {name.lower(): value for name, value in response.getheaders()}
        stays_open = not response.will_close
        response.close()  # without this call, the connection accepts no further request
        return Reply(status=response.status, headers=headers, body=body), stays_open

    def _headers(self) -> dict[str, str]:
        settings = self._settings
        headers = {
            "User-Agent": f"aemon/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity" if self._host in _HERE else "gzip",
        }
        if self._proxy and not self._secure:
            headers |= _proxy_credentials(self._proxy)
        if settings.bearer_token is not None:
            headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
        if settings.basic_auth is not None:
            user = settings.basic_auth
            pair = f"{user.username}:{user.password.get_secret_value()}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers | {name: text.get_secret_value() for name, text in settings.headers.items()}

    def _borrowed(self) -> HTTPConnection:
        with self._lock:
            connection = self._idle.pop() if self._idle else self._new()
            self._busy.add(connection)
        return connection

    def _give_back(self, connection: HTTPConnection, *, stays_open: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            stays_open = stays_open and not self._closed
            if stays_open:
                self._idle.append(connection)
        if not stays_open:
            connection.close()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _new(self) -> HTTPConnection:
        host, port = self._host, self._port
        if self._proxy:
            host, port = _place_of(self._proxy)
        if not self._secure:
            return HTTPConnection(host, port)
        if self._context is None:
            self._context = _context_of(self._settings)
        connection = HTTPSConnection(host, port, context=self._context)
        if self._proxy:
            connection.set_tunnel(self._host, self._port, _proxy_credentials(self._proxy))
        return connection


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _read(response: HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    """Read a whole answer before the deadline, and return its body uncompressed."""
    packed = response.getheader("Content-Encoding", "").lower() == "gzip"
    unpack = zlib.decompressobj(wbits=31) if packed else None
    pieces, size = [], 0
    while True:
        sock.settimeout(_left(deadline))
        piece = response.read1(_PIECE)
        if not piece:
            break
        if unpack is not None:
            try:
                piece = unpack.decompress(piece, MOST_ANSWER + 1)
            except zlib.error:
                raise HTTPException("the answer is not gzip, but its header says gzip") from None
        pieces.append(piece)
        size += len(piece)
        if size > MOST_ANSWER:
            raise TooLargeError
    if response.length or (unpack is not None and not unpack.eof):  # the rest is missing
        raise HTTPException("the answer is incomplete")
    return b"".join(pieces)


def _context_of(settings: PrometheusSource) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        # With an empty password, an encrypted key fails; OpenSSL does not ask at a terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    return context


def _proxy_of(scheme: str, place: str) -> str:
    """Return the proxy that the environment sets for a server; an empty text without a proxy."""
    proxy = urllib.request.getproxies().get(scheme, "")
    if not proxy or urllib.request.proxy_bypass(place):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _place_of(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or 80


def _proxy_credentials(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
