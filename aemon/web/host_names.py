"""Which names the daemon may be asked under.

A page of somebody else's can make a browser ask this host under a name of its own, that suddenly leads
here (DNS rebinding), and read the answer. The name it asks under gives that away.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from aemon.config.service_settings import HttpSettings

ANY = "*"
_LOOPBACK = ("localhost",)

HostNames = frozenset[str]
"""Names without port, in small letters; addresses, which nobody can rebind, are always known."""


def known_hosts(settings: HttpSettings, bound: str) -> HostNames | None:
    """Return the names that a daemon may be asked under; None if any will do.

    Without `http.hosts`, any will do where it listens on an address that others reach: they may know
    it by names that nobody has told it.

    >>> "aemon.example" in known_hosts(HttpSettings(hosts=("aemon.example",)), "10.0.0.7")
    True
    >>> known_hosts(HttpSettings(), "0.0.0.0") is None
    True
    """
    if ANY in (settings.hosts or ()) or (settings.hosts is None and not is_loopback(bound)):
        return None
    page = (urlsplit(settings.url).hostname,) if settings.url else ()
    listened = settings.listen.rpartition(":")[0]
    return frozenset(
        _plain(_LOOPBACK, (listened, socket.gethostname()), page, settings.hosts or ())
    )


def is_known(header: str, hosts: HostNames | None) -> bool:
    """Return whether a `Host` header names this daemon; a missing one is no browser's.

    >>> is_known("LocalHost:9464", frozenset({"localhost"})), is_known("[::1]:9464", frozenset())
    (True, True)
    >>> is_known("evil.example", frozenset({"localhost"}))
    False
    """
    if hosts is None or not header:
        return True
    name = header.strip().lower()
    if name.startswith("["):
        return _is_address(name[1:].partition("]")[0])
    name = name.partition(":")[0].removesuffix(".")
    return name in hosts or _is_address(name)


def _plain(*names: Iterable[str | None]) -> Iterable[str]:
    return (name.lower() for some in names for name in some if name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this host itself reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
