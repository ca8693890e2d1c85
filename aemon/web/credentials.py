"""Who somebody is by what they show: a user with a password, or a bearer token."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import Counter, OrderedDict

import bcrypt

from aemon.config.web_settings import Permission, WebSettings
from aemon.web.worker_threads import in_thread

AN_ADDRESS = 4  # passwords that wait to be checked for one address; more are turned away
ALTOGETHER = 16
REST = 3.0  # times as long as a wrong password has cost, nobody's is checked: a quarter of a core
REMEMBERED = 100  # right passwords, so that a scrape costs nothing
_BCRYPT_BYTES = 72  # what is behind them never counted, and newer libraries refuse it
_NO_HASH = 31 * "."  # that no password leads to

Permissions = frozenset[Permission]


class CrowdedError(Exception):
    """Too many passwords wait to be checked."""


class PasswordChecks:
    """Checks passwords one at a time, in a thread; bcrypt is slow by design.

    What is wrong is never remembered and right ones only as a keyed hash. Users that do not exist
    cost as much as others.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def is_right(self, password: str, kept: str, address: str) -> bool:
        """Whether a password is the one of a bcrypt hash.

        Raises:
            CrowdedError: too many others wait, in all or from this address.
            ResourceError: the machine has no thread to check it in.
        """
        shown = password.encode()[:_BCRYPT_BYTES]
        key = hmac.digest(self._secret, kept.encode() + b"\0" + shown, hashlib.sha256)
        if key in self._right:
            self._right.move_to_end(key)
            return True
        check = self._under_way.get(key)
        if check is None:
            if self._waiting[address] >= AN_ADDRESS or self._waiting.total() >= ALTOGETHER:
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
                    await asyncio.sleep(REST * (time.monotonic() - began))
        finally:
            del self._under_way[key]
            self._waiting[address] -= 1
            self._waiting += Counter()  # drops addresses nobody waits for
        if right:
            self._right[key] = None
            if len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
        return right


def _matches(shown: bytes, kept: str) -> bool:
    try:
        return bcrypt.checkpw(shown, kept.encode())
    except ValueError:  # a password bcrypt cannot have been given
        return False


class Credentials:
    """What a web configuration says of users and tokens."""

    def __init__(self, settings: WebSettings) -> None:
        self._users = settings.basic_auth_users
        self._tokens = [(name, kept.encode()) for name, kept in settings.bearer_tokens.items()]
        self._permissions = settings.permissions
        self._taken = settings.takes_credentials
        cost = max((int(kept[4:6]) for kept in self._users.values()), default=4)
        self._nobody = bcrypt.gensalt(cost).decode() + _NO_HASH
        # Whoever comes from this host may read. To change something, one has to be somebody.
        self.of_everybody: Permissions | None = None
        if not self._taken:
            certified = settings.takes_certificate
            self.of_everybody = frozenset(("read", "push") if certified else ("read",))

    @property
    def challenges(self) -> list[str]:
        """What may be shown, for `WWW-Authenticate`."""
        basic = ['Basic realm="aemon", charset="UTF-8"'] if self._users else []
        return basic + (['Bearer realm="aemon"'] if self._tokens else [])

    async def permissions(
        self, shown: str, address: str, checks: PasswordChecks
    ) -> Permissions | None:
        """What an `Authorization` header allows; None if it is nobody's.

        Raises:
            CrowdedError: too many passwords wait to be checked.
            ResourceError: the machine has no thread to check one in.
        """
        scheme, _, rest = shown.partition(" ")
        name: str | None = None
        if scheme.lower() == "bearer":
            name = self._bearer(rest.strip())
        elif scheme.lower() == "basic" and self._users:
            name = await self._basic(rest.strip(), address, checks)
        return None if name is None else frozenset(self._permissions.get(name, ("read",)))

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
        right = await checks.is_right(password, kept or self._nobody, address)
        return user if right and kept is not None else None
