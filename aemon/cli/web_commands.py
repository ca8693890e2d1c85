"""`aemon web`: what to write into a web configuration."""

import getpass
import hashlib
import json
import secrets
import sys
from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.errors import ConfigError

app = typer.Typer(help="Make the hashes that a web configuration holds.", no_args_is_help=True)

COST = 12  # of bcrypt: a fifth of a second for each guess
LONGEST_BYTES = 72  # bcrypt sees no more
_TOKEN_BYTES = 32


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="The user.")], as_json: JsonOption = False
) -> None:
    """Ask for a password, and print the line with its hash.

    Without a terminal, the password is the first line of standard input.
    """
    import bcrypt

    chosen = _ask()
    if not chosen:
        raise ConfigError("the password is empty", todo="choose another one")
    if len(chosen.encode()) > LONGEST_BYTES:
        raise ConfigError(
            f"the password is longer than {LONGEST_BYTES} bytes, and bcrypt sees no more",
            todo="choose a shorter one",
        )
    if not name or ":" in name:
        raise ConfigError("a user's name must not be empty or hold ':'", todo="choose another one")
    kept = bcrypt.hashpw(chosen.encode(), bcrypt.gensalt(COST)).decode()
    if as_json:
        print_json({"user": name, "hash": kept})
        return
    typer.echo(f"basic_auth_users:\n  {_key(name)}: {kept}")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="What it is for, such as prometheus.")],
    as_json: JsonOption = False,
) -> None:
    """Make a bearer token, and print it with the line that holds its hash."""
    made = f"aemon_{secrets.token_urlsafe(_TOKEN_BYTES)}"
    kept = f"sha256:{hashlib.sha256(made.encode()).hexdigest()}"
    if as_json:
        print_json({"name": name, "token": made, "hash": kept})
        return
    # Not where the rest goes: that may be a file, and the token itself must not stand in it.
    typer.echo(f"the token, which is shown now and never again: {made}", err=True)
    typer.echo(f"bearer_tokens:\n  {_key(name)}: {kept}")


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    chosen = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != chosen:
        raise ConfigError("the two passwords differ", todo="try again")
    return chosen


def _key(name: str) -> str:
    """A name as YAML has it. JSON's text is YAML's, and what looks like a truth is no name.

    >>> _key("alice"), _key("no"), _key("a b")
    ('alice', '"no"', '"a b"')
    """
    import yaml

    plain = name.isidentifier() and yaml.safe_load(name) == name
    return name if plain else json.dumps(name)
