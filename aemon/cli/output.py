"""Printing for people or, with --json, for machines; and opening what most commands need."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.errors import AemonError, ConfigError, ExitCode

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.store.store import Store

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


@contextmanager
def opened_store(config: "Config") -> Iterator["Store"]:
    """The configured store, its schema made or checked, closed at the end."""
    from aemon.clock import utc_now
    from aemon.store import schema
    from aemon.store.engine import open_engine
    from aemon.store.store import Store

    engine = open_engine(config.store.get_secret_value())
    schema.prepare(engine)
    store = Store(engine, utc_now)
    try:
        store.add_monitors(config.monitors)
        yield store
    finally:
        store.close()


@contextmanager
def opened_results(config: "Config") -> Iterator["Store"]:
    """The configured store for reading alone: nothing is made or written.

    Raises:
        NoResultsError: there is no store yet, or nothing in it.
        SchemaError: it is that of another version of aemon.
    """
    from aemon.clock import utc_now
    from aemon.config.addresses import public_address
    from aemon.store import schema
    from aemon.store.engine import open_engine
    from aemon.store.store import Store

    engine = open_engine(config.store.get_secret_value())
    if schema.current_revision(engine) is None:
        raise NoResultsError(
            f"there are no results yet in {public_address(engine.url)}",
            todo="run `aemon run`, or correct `store` in the configuration",
        )
    schema.prepare(engine)
    store = Store(engine, utc_now)
    try:
        yield store
    finally:
        store.close()


class NoResultsError(AemonError):
    """There is nothing to read, or nothing was trained yet to read it with."""

    exit_code = ExitCode.NO_DETECTOR


def choose_monitors(config: "Config", names: Sequence[str] | None) -> list[str]:
    """The named monitors, or all of them.

    Raises:
        ConfigError: there is no monitor of a name.
    """
    from difflib import get_close_matches

    for name in names or ():
        if name not in config.monitors:
            near = get_close_matches(name, config.monitors, n=1)
            there = ", ".join(config.monitors)
            raise ConfigError(
                f"there is no monitor {name!r}",
                todo=f"did you mean {near[0]!r}?" if near else f"there are: {there}",
            )
    return list(names or config.monitors)


def print_json(value: Any) -> None:
    """Print a value as JSON; dataclasses become objects, times ISO text."""
    typer.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def one_monitor(config: "Config", name: str | None) -> str:
    """The monitor that was named, or the only one there is.

    Raises:
        ConfigError: none was named and there are several, or there is no such one.
    """
    if name is None and len(config.monitors) > 1:
        raise ConfigError(
            "there are several monitors", todo=f"add --monitor: {', '.join(config.monitors)}"
        )
    return choose_monitors(config, [name] if name else None)[0]
