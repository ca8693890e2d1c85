"""Web addresses: whether they can be used, and the one at which people find the status page."""

import socket
from urllib.parse import urlsplit

_ANYWHERE = {"0.0.0.0", "[::]", "::"}  # noqa: S104 -- nothing is bound here


def check_url(text: str) -> None:
    """Whether a text is a web address without credentials.

    Raises:
        ValueError: it is none; the message holds no part of it, which may be a secret.
    """
    plain = text.isascii() and text.isprintable() and " " not in text
    try:
        parts = urlsplit(text)
        there = plain and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        there = False
    if not there:
        raise ValueError("is no web address; write for example https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it, which are to be given apart from it")


def checked_url(text: str) -> str:
    """A web address as it is.

    Raises:
        ValueError: as `check_url`.
    """
    check_url(text)
    return text


def page_url(url: str | None, listening: str) -> str:
    """Where people find the status page: as configured, or where it is listened on.

    >>> page_url(None, "127.0.0.1:9464")
    'http://127.0.0.1:9464'
    >>> page_url("https://aemon.example/", "127.0.0.1:9464")
    'https://aemon.example'
    """
    if url is not None:
        return url.rstrip("/")
    host, _, port = listening.rpartition(":")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{socket.gethostname() if host in _ANYWHERE else host}:{port}"
