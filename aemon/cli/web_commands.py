"""`aemon web`: hashes of passwords and tokens for a web configuration."""

import getpass
import json
import sys
from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.errors import ConfigError

app = typer.Typer(help="Make the hashes that a web configuration holds.", no_args_is_help=True)


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="The user.")], as_json: JsonOption = False
) -> None:
    """Ask for a password, and print the line with its hash.

    Without a terminal, the password is the first line of standard input.
    """
    from aemon.operations.web_hashes import hash_password

    hashed = hash_password(name, _ask())
    if as_json:
        print_json(hashed)
        return
    typer.echo(f"basic_auth_users:\n  {_key(name)}: {hashed.hash}")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The name of the token, such as prometheus.")],
    as_json: JsonOption = False,
) -> None:
    """Make a bearer token, and print it with the line that holds its hash."""
    from aemon.operations.web_hashes import make_token

    made = make_token(name)
    if as_json:
        print_json(made)
        return
    # On standard error: standard output may be a file, which must not contain the token.
    typer.echo(f"the token, which is shown only once: {made.token}", err=True)
    typer.echo(f"bearer_tokens:\n  {_key(name)}: {made.hash}")


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    chosen = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != chosen:
        raise ConfigError("the two passwords differ", todo="try again")
    return chosen


def _key(name: str) -> str:
    """Return a name as a YAML key, in quotes if YAML would read it as another type or value.

    >>> _key("alice"), _key("no"), _key("a b")
    ('alice', '"no"', '"a b"')
    """
    import yaml

    plain = name.isidentifier() and yaml.safe_load(name) == name
    return name if plain else json.dumps(name)
