"""Printing for people or, with --json, for machines; and opening what most commands need."""

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from aemon.config.schema import Config

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


def print_json(value: Any) -> None:
    """Print a value as JSON; dataclasses become objects, times ISO text."""
    typer.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)
