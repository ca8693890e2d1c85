"""The host names under which the daemon answers.

A foreign web page can change the address of its own host name to this host (DNS rebinding). The
browser then sends requests here and gives the answers to the page. The `Host` header of such a
request has the foreign name.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from aemon.config.service_settings import HttpSettings

ANY = "*"
_LOOPBACK = ("localhost",)

HostNames = frozenset[str]
"""Host names without port, in lower case. Addresses are always known: DNS cannot rebind them."""


def known_hosts(settings: HttpSettings, bound: str) -> HostNames | None:
    """Return the names under which a daemon answers; None if any name is allowed.

    Without `http.hosts`, a daemon allows any name if other hosts can reach the address on which it
    listens: the daemon cannot know all its names.

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
    """Return whether a `Host` header names this daemon; a browser always sends the header.

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
    """Return whether only this host can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
