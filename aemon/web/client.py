"""The client of a request: its name, scopes and monitors, and the page that sent the request."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from starlette.datastructures import Headers

from aemon.config.web_settings import Permission
from aemon.operations.installation import Installation
from aemon.records import Actor

_KEY = "client"


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """The client of a request.

    Attributes:
        name: name of the user or token; empty without credentials.
        scopes: what the client may do; `admin` includes all others.
        monitors: names or patterns of the monitors that the client may know; None for all monitors.
        address: network address of the client, as a trusted proxy gives it; empty if unknown.
    """

    name: str = ""
    scopes: frozenset[Permission]
    monitors: tuple[str, ...] | None = None
    address: str = ""

    def may(self, scope: Permission) -> bool:
        """Return whether the client may do what a scope allows.

        >>> Client(scopes=frozenset(["admin"])).may("feedback")
        True
        """
        return scope in self.scopes or "admin" in self.scopes

    def knows(self, monitor: str) -> bool:
        """Return whether the client may know a monitor.

        >>> Client(scopes=frozenset(), monitors=("line-*",)).knows("line-7")
        True
        """
        return self.monitors is None or any(fnmatchcase(monitor, one) for one in self.monitors)

    def known(self, monitors: Iterable[str]) -> list[str]:
        """Return those of the monitors that the client may know."""
        return [name for name in monitors if self.knows(name)]

    def part_of(self, whole: Installation, origin: str) -> Installation:
        """Return the part of an installation that the client may know, for changes by the client.

        Args:
            whole: the installation.
            origin: the way of the client's changes, for the audit: api or page.
        """
        actor = Actor(who=self.name, origin=origin, address=self.address)
        return whole.narrowed(self.known(whole.config.monitors), actor)


def is_same_origin(headers: Headers) -> bool | None:
    """Return whether a page of this daemon sent a request; None if no page is known to have sent it.

    Browsers say whether the page is of the same origin, also behind a proxy that changes the host;
    over plain HTTP, they only name the origin. No page can change these headers.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return None if site == "none" else site == "same-origin"
    return None if origin is None else origin.partition("://")[2] == headers.get("host")


def set_client(scope: Any, client: Client) -> None:
    """Remember the client in the scope of its request."""
    scope.setdefault("state", {})[_KEY] = client


def client_of(scope: Any) -> Client:
    """Return the client of a request; a client that may do nothing, if no guard has set one."""
    client: Client = scope.get("state", {}).get(_KEY, Client(scopes=frozenset()))
    return client
