"""Sends messages over HTTP. The answer decides: the message is taken, tried again or given up.

The standard library is enough for a few messages an hour. Environment variables name the proxies. A
redirection is not followed, because the credentials would be sent to its target.
"""

import base64
import http.client
import json
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aemon import __version__
from aemon.clock import Clock, utc_now
from aemon.config.bounded_yaml import MOST_BYTES as MOST_CA_BYTES
from aemon.config.bounded_yaml import read_bounded
from aemon.config.receiver_settings import ReceiverSettings
from aemon.notify.receivers.receiver import Receiver

MOST_READ = 2_000  # bytes of an answer; the rest is not read
MOST_SHOWN = 200  # characters of an answer in an error
SECRET_LETTERS = 12
"""A part of an address or a word of a header is hidden if it has at least this length."""

LONGEST_WAIT = timedelta(hours=1)  # the longest pause that a receiver can ask for
_WAIT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_HIDDEN = "***"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The outcome of one attempt to send a message.

    Attributes:
        status: the HTTP status; None without an answer.
        error: what went wrong, without secrets; empty if the receiver took the message.
        permanent: whether another attempt is useless.
        alone: whether only this message failed and the receiver works, so that other messages do
            not wait.
        retry_after: the pause that the receiver asks for; None if it asks for no pause.
    """

    status: int | None = None
    error: str = ""
    permanent: bool = False
    alone: bool = False
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver took the message."""
        return not self.error


def send(receiver: Receiver, body: bytes, key: str, clock: Clock = utc_now) -> Answer:
    """Send JSON to a receiver, and wait for the answer until the receiver's timeout.

    Args:
        receiver: the receiver, with its address and credentials.
        body: the JSON.
        key: an id for the header `Idempotency-Key`, so that a receiver can drop a message that it
            already has.
        clock: returns the present time; needed if a receiver asks for a pause until a time.
    """
    settings = receiver.settings
    seconds = settings.timeout.total_seconds()
    cutter = _Cutter()
    # The timeout of a single read would not end an answer that arrives slowly, byte by byte.
    timer = threading.Timer(seconds, cutter.cut)
    timer.daemon = True
    try:
        request = urllib.request.Request(  # noqa: S310 -- the configured scheme is http or https
            receiver.address, data=body, headers=_headers(settings, key), method="POST"
        )
        opener = _opener(receiver, cutter)
        timer.start()
        with opener.open(request, timeout=seconds) as response:
            _read(response, seconds)
            return Answer(status=response.status)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(settings, error, _read(error.fp, seconds), clock())
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        late = cutter.was_cut or isinstance(reason, TimeoutError)
        text = f"no answer within {seconds:g} s" if late else _text_of(reason)
        return Answer(error=_without_secrets(text, settings))
    finally:
        timer.cancel()


def _refused(
    settings: ReceiverSettings, error: urllib.error.HTTPError, answer: str, now: datetime
) -> Answer:
    text = f"HTTP {error.code}"
    # Secrets are hidden before the text is cut: half a secret would not be found.
    if answer := _without_secrets(answer, settings)[:MOST_SHOWN]:
        text += f": {answer}"
    server_fails = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
    if HTTPStatus.MULTIPLE_CHOICES <= error.code < HTTPStatus.BAD_REQUEST:
        text = f"HTTP {error.code}: the receiver has moved; correct the url"
    return Answer(
        status=error.code,
        error=text,
        permanent=not server_fails and error.code not in _WAIT,
        alone=error.code == HTTPStatus.INTERNAL_SERVER_ERROR,
        retry_after=_retry_after(error.headers.get("Retry-After", ""), now),
    )


def _headers(settings: ReceiverSettings, key: str) -> dict[str, str]:
    headers = {
        "User-Agent": f"aemon/{__version__}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    if settings.bearer_token is not None:
        headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
    if settings.basic_auth is not None:
        user = settings.basic_auth
        pair = f"{user.username}:{user.password.get_secret_value()}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers | {name: text.get_secret_value() for name, text in settings.headers.items()}


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A handler that follows no redirection."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, so that a redirection is treated like any other answer."""


class _Cutter:
    """A way to end a request that takes too long, by cutting its connections."""

    def __init__(self) -> None:
        self.was_cut = False
        self._connections: list[http.client.HTTPConnection] = []

    def made(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        """Remember a connection that `cut` will shut down, and return the connection."""
        self._connections.append(connection)
        return connection

    def cut(self) -> None:
        """Shut the connections down, so that a thread stops waiting for an answer."""
        self.was_cut = True
        for connection in self._connections:
            try:
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # the connection is closed already
                continue


def _opener(receiver: Receiver, cutter: _Cutter) -> urllib.request.OpenerDirector:
    secure = receiver.address.startswith("https:")
    context = _trusted(receiver.settings.ca_file) if secure else None

    def plain(host: str, **options: Any) -> http.client.HTTPConnection:
        return cutter.made(http.client.HTTPConnection(host, **options))

    def tls(host: str, **options: Any) -> http.client.HTTPConnection:
        return cutter.made(http.client.HTTPSConnection(host, context=context, **options))

    return urllib.request.build_opener(_StayHere(), _Http(plain), _Https(tls))


def _trusted(file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the certificates of a file, or of the system.

    Raises:
        OSError: the file cannot be read, or has no certificates.
        ValueError: the file is not a plain file, or is too large.
    """
    if file is not None:
        read_bounded(file, MOST_CA_BYTES)  # a pipe would never be read to its end
    return ssl.create_default_context(cafile=file)


class _Http(urllib.request.HTTPHandler):
    """A handler that opens HTTP connections with the given function."""

    def __init__(self, connect: Callable[..., http.client.HTTPConnection]) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, req: urllib.request.Request) -> Any:
        """Open a request; the opener calls this method."""
        return self.do_open(self._connect, req)


class _Https(urllib.request.HTTPSHandler):
    """A handler that opens HTTPS connections with the given function."""

    def __init__(self, connect: Callable[..., http.client.HTTPConnection]) -> None:
        super().__init__()
        self._connect = connect

    def https_open(self, req: urllib.request.Request) -> Any:
        """Open a request; the opener calls this method."""
        return self.do_open(self._connect, req)


def _read(response: Any, seconds: float) -> str:
    """Return the beginning of an answer on one line; empty if it does not arrive in time."""
    deadline, content = time.monotonic() + seconds, b""
    try:
        while len(content) < MOST_READ and time.monotonic() < deadline:
            more = response.read1(MOST_READ - len(content))
            if not more:
                break
            content += more
    except (OSError, http.client.HTTPException):
        pass  # the status is known, and decides
    text = " ".join(content.decode(errors="replace").split())
    return "".join(letter for letter in text if letter.isprintable())


def _text_of(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the receiver's certificate is not trusted: {reason.verify_message}"
    if isinstance(reason, OSError):
        file = f"{reason.filename}: " if reason.filename else ""
        return file + (reason.strerror or str(reason) or type(reason).__name__)
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Return the pause that a receiver asks for, in seconds or as a time; None without a pause."""
    try:
        wait = (
            timedelta(seconds=int(text))
            if text.strip().isdigit()
            else parsedate_to_datetime(text) - now
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def _without_secrets(text: str, settings: ReceiverSettings) -> str:
    """Return a text in which every secret of a receiver's configuration is hidden."""
    for secret in _secrets(settings):
        text = text.replace(secret, _HIDDEN)
    return text


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which an answer may repeat a secret, or the last word of the secret."""
    for text in {secret, secret.rpartition(" ")[2]}:
        encoded = base64.b64encode(text.encode()).decode()
        yield from (
            text,
            encoded,
            encoded.rstrip("="),
            quote(text, safe=""),
            json.dumps(text)[1:-1],
        )


def _secrets(settings: ReceiverSettings) -> Iterator[str]:
    url = settings.url.get_secret_value()
    path = re.sub(r"^https?://[^/]*", "", url)
    given = [settings.bearer_token, *settings.headers.values()]
    if settings.basic_auth is not None:
        given.append(settings.basic_auth.password)
    sent = _headers(settings, "").get("Authorization", "").rpartition(" ")[2]
    plain = [secret.get_secret_value() for secret in given if secret is not None]
    plain += [form for secret in (sent, *plain) if secret for form in _forms(secret)]
    plain.sort(key=len, reverse=True)
    yield from (secret for secret in (url, path, *plain) if len(secret) > 1)
    # Some answers repeat a part of a secret: with escaped slashes, or a token without the word
    # before it.
    for text in (path, *plain):
        yield from (part for part in re.split(r"[/?&=\s]", text) if len(part) >= SECRET_LETTERS)
