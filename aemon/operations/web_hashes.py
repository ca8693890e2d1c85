"""Makes hashes of passwords, and bearer tokens with hashes, for a web configuration."""

import hashlib
import secrets
from dataclasses import dataclass

from aemon.errors import ConfigError

COST = 12  # cost factor of bcrypt: each guess of a password takes a fifth of a second
LONGEST_BYTES = 72  # bcrypt ignores further bytes
TOKEN_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class HashedPassword:
    """A user of a web configuration, with the hash of the user's password."""

    user: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeToken:
    """A bearer token, and its hash for a web configuration."""

    name: str
    token: str
    hash: str


def hash_password(user: str, password: str) -> HashedPassword:
    """Return a user with the bcrypt hash of the user's password.

    Raises:
        ConfigError: the password is empty or too long, or the user's name is not valid.
    """
    import bcrypt

    if not password:
        raise ConfigError("the password is empty", todo="choose another password")
    if len(password.encode()) > LONGEST_BYTES:
        raise ConfigError(
            f"the password is longer than {LONGEST_BYTES} bytes, and bcrypt ignores the rest",
            todo="choose a shorter password",
        )
    if not user or ":" in user:
        raise ConfigError("a user's name must not be empty or hold ':'", todo="choose another name")
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()
    return HashedPassword(user=user, hash=hashed)


def make_token(name: str) -> MadeToken:
    """Return a new random bearer token and its hash; aemon does not store the token."""
    token = f"aemon_{secrets.token_urlsafe(TOKEN_BYTES)}"
    return MadeToken(
        name=name, token=token, hash=f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    )
