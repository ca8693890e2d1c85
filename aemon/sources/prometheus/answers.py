"""A server's answer to a query: series, or an error that says what to do."""

import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from aemon.config.source_settings import secrets_of
from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.prometheus.connections import Reply
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.texts import cut

MOST_SHOWN = 300  # characters of an answer in an error
_HIDDEN = "***"
_LEAST_SECRET = 3  # characters; a shorter secret would occur in every text
_TOO_MANY = ("too many samples", "maximum resolution", "too many points", "exceeds the limit")


class TooMuchError(Exception):
    """A query asks for more data than one answer may hold; a shorter range may work."""

    def __init__(self, error: AemonError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The result of a query.

    Attributes:
        series: the series in the server's form: `metric` holds the labels, `values` holds pairs of
            a time and a number as text.
        warnings: warnings of the server.
    """

    series: list[dict[str, Any]]
    warnings: tuple[str, ...]


def answer_of(reply: Reply, what: str, settings: PrometheusSource) -> Answer:
    """Return the answer in the body of a reply.

    Args:
        reply: reply of the server.
        what: a short description of the request, for messages.
        settings: settings of the source, with the secrets that messages must not show.

    Raises:
        SourceError: trying again may help.
        SourceConfigError: a person must change something.
        TooMuchError: a shorter range may work.
    """
    document = _json(reply.body)
    if (
        reply.status != HTTPStatus.OK
        or not isinstance(document, dict)
        or document.get("status") != "success"
    ):
        raise _refusal(reply, document, what, settings)
    if document.get("isPartial") and not settings.partial:
        raise SourceError(
            f"{place(settings)}: {what}: some of the servers did not answer",
            todo="aemon tries again; partial: true accepts answers that lack some data",
        )
    data = document.get("data")
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, list):
        raise _no_api(what, settings)
    given = document.get("warnings") or []
    warnings = (
        tuple(f"{what}: the server warns: {shown(str(one), settings)}" for one in given)
        if isinstance(given, list)
        else ()
    )
    return Answer(series=result, warnings=warnings)


def date_of(reply: Reply) -> datetime | None:
    """Return a reply's time by the server's clock, to the second; None if the reply has no time."""
    try:
        date = parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None


def unreachable(error: Exception, what: str, settings: PrometheusSource) -> AemonError:
    """Return the error of aemon for an error of the connection."""
    where = f"{place(settings)}: {what}"
    if isinstance(error, TimeoutError):
        seconds = settings.timeout.total_seconds()
        return SourceError(
            f"{where}: no answer within {seconds:g} s",
            todo="a cheaper query, a recording rule, or a longer timeout may help",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceConfigError(
            f"{where}: the server's certificate is not trusted: {error.verify_message}",
            todo="set ca_file to the certificate of the authority that issued the server's "
            "certificate",
        )
    text = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return SourceError(f"{where}: {shown(text or type(error).__name__, settings)}")


def place(settings: PrometheusSource) -> str:
    """Return a short description of a server."""
    return f"Prometheus at {settings.url}"


def shown(text: str, settings: PrometheusSource) -> str:
    """Return a server's text on one line, without the secrets that were sent to the server."""
    text = " ".join(text.split())
    for secret in sorted(set(_forms(settings)), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return cut("".join(letter for letter in text if letter.isprintable()), MOST_SHOWN)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refusal(reply: Reply, document: Any, what: str, settings: PrometheusSource) -> Exception:
    status, where = reply.status, f"{place(settings)}: {what}"
    reason = shown(str(document.get("error") or ""), settings) if isinstance(document, dict) else ""
    detail = f": {reason}" if reason else ""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return SourceConfigError(
            f"{place(settings)}: HTTP {status}: the credentials are refused{detail}",
            todo="correct basic_auth, bearer_token or headers of the source",
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = urlsplit(reply.headers.get("location", ""))
        to = (
            f"to {target.scheme}://{target.hostname}{target.path}"
            if target.hostname
            else "elsewhere"
        )
        return SourceConfigError(
            f"{place(settings)}: HTTP {status}: the server redirects {shown(to, settings)}",
            todo="correct the url: aemon does not follow a redirection, because the other server "
            "would get the credentials",
        )
    if any(words in reason for words in _TOO_MANY) or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooMuchError(
            SourceConfigError(
                f"{where}: HTTP {status}{detail}",
                todo="a query that aggregates first, or a recording rule, reads fewer samples",
            )
        )
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY} and reason:
        return SourceConfigError(
            f"{where}: the query fails{detail}", todo="try the query on the server's own page"
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT
    }:  # fmt: skip
        return SourceError(f"{where}: HTTP {status}{detail}")
    return _no_api(f"{what}: HTTP {status}{detail}", settings)


def _no_api(what: str, settings: PrometheusSource) -> SourceConfigError:
    return SourceConfigError(
        f"{place(settings)}: {what}: there is no Prometheus API",
        todo="set url to the address before /api/v1, such as http://mimir.example/prometheus",
    )


def _forms(settings: PrometheusSource) -> Iterator[str]:
    """Yield every secret of the settings, in each form in which an answer may contain it."""
    given = [secret.get_secret_value() for secret in secrets_of(settings)]
    if settings.basic_auth is not None:
        user = settings.basic_auth
        pair = f"{user.username}:{user.password.get_secret_value()}"
        given.append(base64.b64encode(pair.encode()).decode())
    for secret in given:
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            if len(form) >= _LEAST_SECRET:
                yield form
