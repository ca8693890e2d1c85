"""A client that asks the running daemon for its status over HTTP."""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aemon.config.schema import Config
from aemon.config.service_settings import ClientSettings
from aemon.config.values.addresses import public_address
from aemon.config.web_settings import read_web_config
from aemon.errors import ConfigError
from aemon.store.engine import store_url
from aemon.web.tls import client_context

PATIENCE_SECONDS = 2.0
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 -- asked, not listened on
_SHOW = "set credentials under http.client that the web configuration accepts"
_REFUSED: Mapping[int, str] = {HTTPStatus.UNAUTHORIZED: _SHOW, HTTPStatus.FORBIDDEN: _SHOW}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a daemon, or the reason why there is none.

    Attributes:
        address: the `host:port` that was asked.
        status: the contents of `/status.json`; None without an answer.
        why: the reason why there is no status; empty if there is a status.
        todo: what a person can do to get a status; empty if unknown.
    """

    address: str
    status: Mapping[str, Any] | None
    why: str = ""
    todo: str = ""


class _NoAnswerError(Exception):
    def __init__(self, why: str, todo: str = "") -> None:
        super().__init__(why)
        self.todo = todo


def ask_daemon(config: Config) -> Answer:
    """Ask the daemon at the configured address for its status; an error becomes part of the answer.

    The request has the credentials of `http.client`. A daemon with TLS is identified by the
    certificate of its web configuration, whatever host names this certificate has.
    """
    host, _, port = config.http.listen.rpartition(":")
    address = f"{_ANY_HOST.get(host, host)}:{port}"
    if port.strip("0") == "":
        return Answer(address=address, status=None, why="http.listen names no port")
    try:
        status = _fetch(address, _tls(config), _credentials(config.http.client))
    except _NoAnswerError as nothing:
        return Answer(address=address, status=None, why=str(nothing), todo=nothing.todo)
    if status["store"] != public_address(store_url(config.store.get_secret_value())):
        why = f"the daemon at {address} uses another store, {status['store']}"
        return Answer(address=address, status=None, why=why)
    return Answer(address=address, status=status)


def _fetch(
    address: str, context: ssl.SSLContext | None, credentials: Mapping[str, str]
) -> Mapping[str, Any]:
    # The daemon is on this host, so no proxy is used, and no redirection is followed.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    url = f"{'https' if context else 'http'}://{address}/status.json"
    request = urllib.request.Request(url, headers=dict(credentials))  # noqa: S310 -- see the line above
    try:
        with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
            status: dict[str, Any] = json.load(answer)
            status["store"]
    except urllib.error.HTTPError as error:
        with error:
            why = f"{address} answers, but returns no status: {error.code} {error.reason}"
            raise _NoAnswerError(why, _REFUSED.get(error.code, "")) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            why = f"{address} and this host do not agree on TLS: {reason.reason}"
            raise _NoAnswerError(why) from None
        raise _NoAnswerError(f"the daemon does not answer at {address}") from None
    except (http.client.HTTPException, ValueError, KeyError, TypeError):
        raise _NoAnswerError(f"the program that answers at {address} is not aemon") from None
    return status


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.http.web_config is None:
        return None
    client = config.http.client
    pair = (client.cert_file, client.key_file) if client.cert_file and client.key_file else None
    try:
        settings = read_web_config(config.http.web_config)[0].tls_server_config
        return None if settings is None else client_context(settings, pair)
    except ConfigError as error:
        raise _NoAnswerError(error.message, error.todo) from None
    except OSError as error:
        raise _NoAnswerError(f"cannot ask the daemon over TLS: {error}") from None


def _credentials(client: ClientSettings) -> dict[str, str]:
    if client.token:
        return {"Authorization": f"Bearer {client.token.get_secret_value()}"}
    if client.user and client.password:
        pair = f"{client.user}:{client.password.get_secret_value()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
