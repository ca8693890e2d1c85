"""Options that commands share, printing as JSON, and opening an installation."""

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

    return Installation(read_config(path))


def print_json(value: Any) -> None:
    """Print a value as JSON; dataclasses become objects, and times become ISO text."""
    from aemon.operations.json_form import to_json

    typer.echo(to_json(value, indent=2))
