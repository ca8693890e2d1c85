"""Hashes for a web configuration: of passwords, and of bearer tokens that are made here."""

import hashlib
import secrets
from dataclasses import dataclass

from aemon.errors import ConfigError

COST = 12  # of bcrypt: a fifth of a second for each guess
LONGEST_BYTES = 72  # bcrypt sees no more
TOKEN_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class HashedPassword:
    """A user of a web configuration, with the hash of their password."""

    user: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeToken:
    """A bearer token, and the hash by which a web configuration knows it."""

    name: str
    token: str
    hash: str


def hash_password(user: str, password: str) -> HashedPassword:
    """Hash a user's password with bcrypt.

    Raises:
        ConfigError: the password is empty or too long, or the name cannot be a user's.
    """
    import bcrypt

    if not password:
        raise ConfigError("the password is empty", todo="choose another one")
    if len(password.encode()) > LONGEST_BYTES:
        raise ConfigError(
            f"the password is longer than {LONGEST_BYTES} bytes, and bcrypt sees no more",
            todo="choose a shorter one",
        )
    if not user or ":" in user:
        raise ConfigError("a user's name must not be empty or hold ':'", todo="choose another one")
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()
    return HashedPassword(user=user, hash=hashed)


def make_token(name: str) -> MadeToken:
    """Make a random bearer token. It is stored nowhere: only its hash is to be kept."""
    token = f"aemon_{secrets.token_urlsafe(TOKEN_BYTES)}"
    return MadeToken(
        name=name, token=token, hash=f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    )
