"""Opening what an operation works on: the configured store, and the monitors that were named."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aemon.errors import AemonError, ConfigError, ExitCode

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.store.store import Store


@contextmanager
def opened_store(config: "Config") -> Iterator["Store"]:
    """The configured store, its schema made or checked, closed at the end."""
    from aemon.clock import utc_now
    from aemon.store.engine import open_engine
    from aemon.store.schema import revisions
    from aemon.store.store import Store

    engine = open_engine(config.store.get_secret_value())
    revisions.prepare(engine)
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
    from aemon.config.values.addresses import public_address
    from aemon.store.engine import open_engine
    from aemon.store.schema import revisions
    from aemon.store.store import Store

    engine = open_engine(config.store.get_secret_value())
    if revisions.current_revision(engine) is None:
        raise NoResultsError(
            f"there are no results yet in {public_address(engine.url)}",
            todo="run `aemon run`, or correct `store` in the configuration",
        )
    revisions.prepare(engine)
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
