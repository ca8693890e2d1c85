"""Database addresses and web addresses: checks, and forms without secrets for messages."""

import re
import socket
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

SECRET_OPTIONS = ("password", "sslpassword", "passfile")

ENCODE_HINT = "special characters in its user and password must be percent-encoded, '@' as %40"

_LEAST_PIECE = 3  # characters; a shorter part of a password occurs in many texts, by chance
_PIECE = re.compile(r"[^@:/?&=#%+\s]{3,}")  # text between characters at which parsers cut a URL
_USER_PART = re.compile(
    r"[\w+]+://(?:[^:/]*(?::[^@]*)?@)?"
)  # user and password, as SQLAlchemy reads a URL
_SHOWN_FOR_A_SECRET = "***"  # noqa: S105 -- not a secret


def read_address(text: str) -> URL:
    """Parse the URL of any database.

    Raises:
        ValueError: the text is not a URL; the message does not show the text, because it may be a
            password.
    """
    if not text.strip():
        raise ValueError("is empty; write a database URL, such as sqlite:///plant.db")
    try:
        url = make_url(text)
        url.get_dialect()
    except NoSuchModuleError:
        raise ValueError(
            "names a kind of database that SQLAlchemy does not know; "
            "correct the part before ://, or install the dialect of the database"
        ) from None
    except (ArgumentError, ValueError):
        raise ValueError(
            "is not a database URL; write for example sqlite:///plant.db or "
            f"postgresql://user@host/database; {ENCODE_HINT}"
        ) from None
    if url.get_backend_name() != "sqlite" and "@" in _USER_PART.sub("", text, count=1):
        raise ValueError(f"has one '@' too many; {ENCODE_HINT}")
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ValueError(
            "is a database in memory, which no other process can read; name a file: sqlite:///plant.db"
        )
    return url


def read_store_address(text: str) -> URL:
    """Parse the URL of a database that aemon can write its results to.

    Raises:
        ValueError: the text is not a URL, or is not the URL of a SQLite or PostgreSQL database.
    """
    url = read_address(text)
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ValueError(
            "results are stored in SQLite or PostgreSQL only; use sqlite:///… or postgresql://…"
        )
    return url


def public_address(url: URL) -> str:
    """Return the address without password and options, for messages and logs.

    If a password contains an `@` that is not percent-encoded, the parser cuts the password there,
    and takes the rest as part of the host. Therefore all text before the last `@` is treated as
    the password.
    """
    strays, place = _place(url)
    if not strays:
        return url.set(query={}).render_as_string(hide_password=True)
    user = f"{quote(url.username or '', safe=' +')}:" if url.password is not None else ""
    return f"{url.drivername}://{user}{_SHOWN_FOR_A_SECRET}@{place}"


def without_secrets(text: str, url: URL) -> str:
    """Return a driver's message on one line, without the secrets of an address and their parts."""
    text = " ".join(text.split())
    options = url.normalized_query
    secrets = [url.password, *(s for option in SECRET_OPTIONS for s in options.get(option, ()))]
    written = {form for secret in (*secrets, *_place(url)[0]) for form in _forms(secret or "")}
    for secret in sorted(written, key=len, reverse=True):
        if len(secret) < _LEAST_PIECE:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _SHOWN_FOR_A_SECRET, text)
        else:
            text = text.replace(secret, _SHOWN_FOR_A_SECRET)
    return text


def _forms(secret: str) -> Iterable[str]:
    """Return a secret in all forms that a message may have: plain, encoded, escaped, in parts."""
    if not secret:
        return ()
    escaped = secret.replace("\\", r"\\").replace("'", r"\'")  # inside quotes
    whole = (secret, quote(secret, safe=""), quote_plus(secret), escaped)
    return (*whole, *_PIECE.findall(secret))


def _place(url: URL) -> tuple[list[str], str]:
    """Return the parts of host and path that may belong to a password, and the remaining text."""
    host, database = url.host or "", url.database or ""
    options = [
        text
        for option, values in url.normalized_query.items()
        if option not in SECRET_OPTIONS
        for text in (option, *values)
    ]
    if url.get_backend_name() == "sqlite":
        return [], database
    if any("@" in text for text in options):
        return [host, database, *(text.rpartition("@")[0] or text for text in options)], ""
    if "@" in database:
        before, _, place = database.rpartition("@")
        return [host, before], place
    before, at, place = host.rpartition("@")
    port = f":{url.port}" if url.port else ""
    return [before] if at else [], f"{place}{port}/{database}"


_ANYWHERE = {"0.0.0.0", "[::]", "::"}  # noqa: S104 -- nothing is bound here


def check_url(text: str) -> None:
    """Check that a text is a web address without credentials.

    Raises:
        ValueError: the text is not a web address, or has credentials; the message does not show
            the text, because it may be a secret.
    """
    plain = text.isascii() and text.isprintable() and " " not in text
    try:
        parts = urlsplit(text)
        valid = plain and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("is not a web address; write for example https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it; give them under their own keys")


def checked_url(text: str) -> str:
    """Return a web address unchanged.

    Raises:
        ValueError: the same error as in `check_url`.
    """
    check_url(text)
    return text


def page_url(url: str | None, listening: str, *, tls: bool = False) -> str:
    """Return the address of the status page: the configured `url`, or an address from `listening`.

    >>> page_url(None, "127.0.0.1:9464")
    'http://127.0.0.1:9464'
    >>> page_url(None, "[::1]:9464", tls=True)
    'https://[::1]:9464'
    >>> page_url("https://aemon.example/", "127.0.0.1:9464")
    'https://aemon.example'
    """
    if url is not None:
        return url.rstrip("/")
    host, _, port = listening.rpartition(":")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    scheme = "https" if tls else "http"
    return f"{scheme}://{socket.gethostname() if host in _ANYWHERE else host}:{port}"
