"""Options that commands share, printing as JSON, and opening an installation."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.operations.installation import Installation

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="AEMON_CONFIG", help="The configuration file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
CONFIG_FILE = Path("aemon.yaml")


def read_config(path: Path) -> "Config":
    """Load and validate the configuration."""
    from aemon.config.loading import load_config

    return load_config(path)


def open_installation(path: Path) -> "Installation":
    """Return the installation of a configuration file: its settings and its results."""
    from aemon.operations.installation import Installation
    from aemon.records import Actor

    return Installation(read_config(path), actor=Actor(who=_user(), origin="cli"))


def _user() -> str:
    """Return the name of the user who runs the command; empty if the system does not know it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have a user without a name
        return ""


def print_json(value: Any) -> None:
    """Print a value as JSON; dataclasses become objects, and times become ISO text."""
    from aemon.operations.json_form import to_json

    typer.echo(to_json(value, indent=2))
