"""Who may ask the daemon what: the web configuration as it is now, taken up when it changes."""

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

# The pages need nothing from elsewhere and run no script.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Bucket:
    """A request an interval, and a burst at once."""

    def __init__(self, settings: RateLimitSettings) -> None:
        self._pause = settings.interval.total_seconds()
        self._burst = float(max(settings.burst, 1))
        self._left = self._burst
        self._filled_at = time.monotonic()

    def allows(self) -> bool:
        """Whether one more may be answered now; it counts."""
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
    """A web configuration, ready for use."""

    settings: WebSettings
    tls: ssl.SSLContext | None
    credentials: Credentials
    bucket: Bucket
    headers: tuple[tuple[bytes, bytes], ...]


def load_access(path: Path | None) -> Access:
    """The access that a web configuration gives; without one, to all who reach the port.

    Raises:
        ConfigError: the file is wrong, or the certificate it names; told with file, line and key.
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
    """Why it is unwise to listen on a host with these settings; empty if it is not.

    >>> exposure(WebSettings(), "127.0.0.1")
    ''
    >>> exposure(WebSettings(), "0.0.0.0")
    'whoever reaches the port may read everything: it takes no credentials'
    """
    if is_loopback(host) or settings.takes_certificate:
        return ""
    if not settings.takes_credentials:
        return "whoever reaches the port may read everything: it takes no credentials"
    if settings.tls_server_config is None:
        return "passwords and tokens cross the network in clear: there is no TLS"
    return ""


class WatchedAccess:
    """The access of a file, taken up anew when the file or a certificate it names changes.

    What is broken changes nothing. By content, because folders of secrets are swapped as a whole.

    Raises at construction:
        ConfigError: as `load_access`.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.now = load_access(path)
        self._taken = self._before = self._content()
        if self.now.settings.ignored:
            logger.warning(self.now.settings.ignored, extra={"action": Action.WEB_IGNORED})

    def look(self) -> None:
        """Take up a change that two looks have seen, so that a file half written is not.

        Whatever a file holds, later ones are looked at.
        """
        try:
            self._look()
        except Exception as error:
            # Logged once: the same content is not read again.
            message = f"the one before stays in use: {error!r} (please report this)"
            logger.exception(message, extra={"action": Action.WEB_REFUSED})

    def _look(self) -> None:
        seen = self._content()
        steady, self._before = seen == self._before, seen
        if not steady or seen == self._taken:
            return
        self._taken = seen
        try:
            self.now = load_access(self._path)
        except (AemonError, OSError, ValueError) as error:  # a file may go while it is read
            message = f"the one before stays in use: {error}"
            logger.error(message, extra={"action": Action.WEB_REFUSED})  # noqa: TRY400 -- for people
        else:
            logger.info("", extra={"action": Action.WEB_RELOADED})

    def _content(self) -> str:
        """What the files say, or what is wrong with them."""
        if self._path is None:
            return ""
        try:
            settings, _ = read_web_config(self._path)
        except Exception as error:  # noqa: BLE001 -- a change all the same, which `load_access` judges
            return repr(error)
        digest = hashlib.sha256(settings.model_dump_json().encode())
        tls = settings.tls_server_config
        for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ():
            try:
                digest.update(read_bounded(path, MOST_SECRET_BYTES) if path else b"")
            except (OSError, ValueError) as error:
                digest.update(str(error).encode())
        return digest.hexdigest()
