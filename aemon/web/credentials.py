"""Credentials of HTTP requests: users with passwords, and bearer tokens."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import Counter, OrderedDict

import bcrypt
from starlette.datastructures import Headers

from aemon.config.web_settings import Permission, WebSettings
from aemon.web.client import Client
from aemon.web.worker_threads import in_thread

MOST_PER_ADDRESS = 4  # passwords of one address that wait for their check; more are refused
MOST_WAITING = 16  # passwords of all addresses that wait for their check
PAUSE_FACTOR = 3.0  # a pause is this many checks of a wrong password long: a quarter of a core
REMEMBERED = 100  # hashes of right passwords, so that a scrape needs no new check
MOST_NAME = 200  # characters of the name that a proxy passes on
_BCRYPT_BYTES = 72  # bcrypt ignores the bytes after these, and newer libraries refuse them
_NO_HASH = 31 * "."  # a digest that no password has


class CrowdedError(Exception):
    """A request that is refused because too many passwords wait for their check."""


class PasswordChecks:
    """Checks of passwords, one at a time in a thread, because bcrypt is slow by design.

    Wrong passwords are never remembered, and right ones only as a keyed hash. The check of a user
    that does not exist takes as long as any other check.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def is_right(self, password: str, kept: str, address: str) -> bool:
        """Return whether a password has the bcrypt hash `kept`.

        Raises:
            CrowdedError: too many passwords wait for their check, from all addresses or from this
                address.
            ResourceError: the machine cannot start a thread for the check.
        """
        shown = password.encode()[:_BCRYPT_BYTES]
        key = hmac.digest(self._secret, kept.encode() + b"\0" + shown, hashlib.sha256)
        if key in self._right:
            self._right.move_to_end(key)
            return True
        check = self._under_way.get(key)
        if check is None:
            own, total = self._waiting[address], self._waiting.total()
            if own >= MOST_PER_ADDRESS or total >= MOST_WAITING:
                raise CrowdedError
            self._waiting[address] += 1
            check = asyncio.create_task(self._check(key, shown, kept, address))
            self._under_way[key] = check
        return await asyncio.shield(check)

    async def _check(self, key: bytes, shown: bytes, kept: str, address: str) -> bool:
        try:
            async with self._turn:
                began = time.monotonic()
                right = await in_thread(lambda: _matches(shown, kept))
                if not right:
                    await asyncio.sleep(PAUSE_FACTOR * (time.monotonic() - began))
        finally:
            del self._under_way[key]
            self._waiting[address] -= 1
            self._waiting += Counter()  # removes addresses without waiting passwords
        if right:
            self._right[key] = None
            if len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
        return right


def _matches(shown: bytes, kept: str) -> bool:
    try:
        return bcrypt.checkpw(shown, kept.encode())
    except ValueError:  # not a password that bcrypt can hash
        return False


class Credentials:
    """The users, tokens and permissions of a web configuration."""

    def __init__(self, settings: WebSettings) -> None:
        self._users = settings.basic_auth_users
        self._tokens = [(name, kept.encode()) for name, kept in settings.bearer_tokens.items()]
        self._permissions = settings.permissions
        self._monitors = settings.monitors
        self._proxy = settings.proxy
        self._needed = settings.takes_credentials
        cost = max((int(kept[4:6]) for kept in self._users.values()), default=4)
        self._hash_of_unknown_user = bcrypt.gensalt(cost).decode() + _NO_HASH
        # Without users and tokens, every client may read. Pushing needs a client certificate.
        self.anonymous: frozenset[Permission] | None = None
        if not self._needed:
            certified = settings.takes_certificate
            self.anonymous = frozenset(("read", "push") if certified else ("read",))

    @property
    def challenges(self) -> list[str]:
        """The accepted schemes, as values of `WWW-Authenticate`."""
        basic = ['Basic realm="aemon", charset="UTF-8"'] if self._users else []
        return basic + (['Bearer realm="aemon"'] if self._tokens else [])

    async def client(self, headers: Headers, address: str, checks: PasswordChecks) -> Client | None:
        """Return the client of a request; None if its credentials are wrong or missing.

        A trusted proxy names the user in a header; all other clients show their credentials in
        `Authorization`.

        Args:
            headers: the headers of the request.
            address: network address from which the request came.
            checks: the checks of passwords.

        Raises:
            CrowdedError: too many passwords wait for their check.
            ResourceError: the machine cannot start a thread for a check.
        """
        if self.anonymous is not None:
            return Client(scopes=self.anonymous, address=address)
        proxied = self._proxy is not None and self._proxy.is_trusted(address)
        name = self._passed_on(headers) if proxied else None
        if name is None:
            name = await self._shown(headers.get("authorization", ""), address, checks)
        if name is None:
            return None
        forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return Client(
            name=name,
            scopes=frozenset(self._permissions.get(name, ("read",))),
            monitors=self._monitors.get(name),
            address=(forwarded or address) if proxied else address,
        )

    def _passed_on(self, headers: Headers) -> str | None:
        """Return the user that a trusted proxy names; None if it names none, or several."""
        names = headers.getlist(self._proxy.user_header) if self._proxy else []
        if len(names) != 1:
            return None
        name = names[0].encode("latin-1").decode("utf-8", "replace").strip()
        return name if 0 < len(name) <= MOST_NAME and name.isprintable() else None

    async def _shown(self, shown: str, address: str, checks: PasswordChecks) -> str | None:
        """Return the name of the user or token of an `Authorization` header; None if it is wrong."""
        scheme, _, rest = shown.partition(" ")
        name: str | None = None
        if scheme.lower() == "bearer":
            name = self._bearer(rest.strip())
        elif scheme.lower() == "basic" and self._users:
            name = await self._basic(rest.strip(), address, checks)
        return name

    def _bearer(self, token: str) -> str | None:
        kept = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}".encode()
        found = [name for name, other in self._tokens if hmac.compare_digest(other, kept)]
        return found[0] if found else None

    async def _basic(self, text: str, address: str, checks: PasswordChecks) -> str | None:
        try:
            user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon:
            return None
        kept = self._users.get(user)
        right = await checks.is_right(password, kept or self._hash_of_unknown_user, address)
        return user if right and kept is not None else None
