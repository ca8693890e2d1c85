"""Access to the daemon's port: the web configuration, reloaded when it changes."""

import hashlib
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aemon.config.bounded_yaml import MOST_SECRET_BYTES, read_bounded
from aemon.config.values.scalars import AtKeyError
from aemon.config.web_settings import RateLimitSettings, WebSettings, read_web_config
from aemon.errors import AemonError, ConfigError
from aemon.logs import Action
from aemon.web.credentials import Credentials
from aemon.web.host_names import is_loopback
from aemon.web.tls import server_context

logger = logging.getLogger(__name__)

# The pages load everything from the daemon itself, and hold no scripts or styles of their own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Bucket:
    """A rate limit: one request in each interval, and several requests (a burst) after a pause."""

    def __init__(self, settings: RateLimitSettings) -> None:
        self._pause = settings.interval.total_seconds()
        self._burst = float(max(settings.burst, 1))
        self._left = self._burst
        self._filled_at = time.monotonic()

    def allows(self) -> bool:
        """Return whether another request may be answered now; if it may, count the request."""
        if not self._pause:
            return True
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._filled_at) / self._pause)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, kw_only=True)
class Access:
    """A web configuration in use: TLS context, credentials, rate limit and response headers."""

    settings: WebSettings
    tls: ssl.SSLContext | None
    credentials: Credentials
    bucket: Bucket
    headers: tuple[tuple[bytes, bytes], ...]


def load_access(path: Path | None) -> Access:
    """Return the access of a web configuration; if `path` is None, every client may read.

    Raises:
        ConfigError: the file has a mistake, or its certificate cannot be used; the error names
            file, line and key.
    """
    if path is None:
        return _access(WebSettings(), None)
    settings, document = read_web_config(path)
    try:
        context = server_context(settings.tls_server_config) if settings.tls_server_config else None
    except AtKeyError as error:
        place = ("tls_server_config", *error.path)
        line = document.line(place)
        raise ConfigError(f"{document.name}:{line}: {'.'.join(place)}: {error}") from None
    return _access(settings, context)


def _access(settings: WebSettings, context: ssl.SSLContext | None) -> Access:
    headers = {**HEADERS, **settings.http_server_config.headers}
    return Access(
        settings=settings,
        tls=context,
        credentials=Credentials(settings),
        bucket=Bucket(settings.rate_limit),
        headers=tuple(
            (name.lower().encode(), value.encode()) for name, value in headers.items() if value
        ),
    )


def exposure(settings: WebSettings, host: str) -> str:
    """Return why it is unsafe to listen on a host with these settings; empty if it is safe.

    >>> exposure(WebSettings(), "127.0.0.1")
    ''
    >>> exposure(WebSettings(), "0.0.0.0")
    'everyone who reaches the port can read everything: no credentials are needed'
    """
    if is_loopback(host) or settings.takes_certificate:
        return ""
    if not settings.takes_credentials:
        return "everyone who reaches the port can read everything: no credentials are needed"
    if settings.tls_server_config is None:
        return "passwords and tokens cross the network in clear text: there is no TLS"
    return ""


class WatchedAccess:
    """The access of a web configuration, reloaded when the file or one of its certificates changes.

    If the file has errors, the previous access stays in use. Contents are compared, not
    modification times, because folders of secrets are replaced as a whole.

    Raises at construction:
        ConfigError: for the same reasons as in `load_access`.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.now = load_access(path)
        self._loaded = self._before = self._content()
        if self.now.settings.ignored:
            logger.warning(self.now.settings.ignored, extra={"action": Action.WEB_IGNORED})

    def look(self) -> None:
        """Reload a change that two calls have seen, so that a half-written file is not loaded.

        An error does not end the watch: later changes are loaded.
        """
        try:
            self._look()
        except Exception as error:
            # Logged once: the same content is not loaded again.
            message = f"the previous one stays in use: {error!r} (please report this)"
            logger.exception(message, extra={"action": Action.WEB_REFUSED})

    def _look(self) -> None:
        content = self._content()
        steady, self._before = content == self._before, content
        if not steady or content == self._loaded:
            return
        self._loaded = content
        try:
            self.now = load_access(self._path)
        except (AemonError, OSError, ValueError) as error:  # a file may vanish while it is read
            message = f"the previous one stays in use: {error}"
            logger.error(message, extra={"action": Action.WEB_REFUSED})  # noqa: TRY400 -- for people
        else:
            logger.info("", extra={"action": Action.WEB_RELOADED})

    def _content(self) -> str:
        """Return a digest of the files' contents, or the text of an error in them."""
        if self._path is None:
            return ""
        try:
            settings, _ = read_web_config(self._path)
        except Exception as error:  # noqa: BLE001 -- an error is a change, too: `load_access` reports it
            return repr(error)
        digest = hashlib.sha256(settings.model_dump_json().encode())
        tls = settings.tls_server_config
        for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ():
            try:
                digest.update(read_bounded(path, MOST_SECRET_BYTES) if path else b"")
            except (OSError, ValueError) as error:
                digest.update(str(error).encode())
        return digest.hexdigest()
