"""An installation: a configuration and its results database, which all operations use."""

from collections.abc import Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aemon.clock import Clock, utc_now
from aemon.errors import ConfigError, NoResultsError, UnknownMonitorError
from aemon.records import Actor

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aemon.config.schema import Config
    from aemon.store.lists.ledger_sums import LedgerSums
    from aemon.store.store import Store


class Installation:
    """A configuration and its results database, which is opened at the first use.

    An operation that refuses its arguments or needs no results does not open the database. At the
    end, a store that the installation opened is closed; a store that was given stays open.

    Args:
        config: the validated configuration.
        store: an open results database; None to open the database of `config`.
        clock: the time.
        actor: the author of changes, for the audit; None for an unknown author.
        sums: sums over the ledger that a daemon keeps between operations; None for a command.
    """

    def __init__(
        self,
        config: "Config",
        store: "Store | None" = None,
        clock: Clock = utc_now,
        actor: Actor | None = None,
        sums: "LedgerSums | None" = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.sums = sums
        self.actor = actor
        self._store = store
        self._is_ours = store is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._store is not None and self._is_ours:
            self._store.close()

    @property
    def store(self) -> "Store":
        """The results database, opened at the first use; only `prepare` makes missing tables.

        Raises:
            NoResultsError: there is no database yet, or it has no tables.
            SchemaError: the database has the schema of another version of aemon.
        """
        if self._store is None:
            self._store = _existing_results(self.config, self.clock)
        return self._store

    def changing(self, action: str, monitor: str = "", **details: Any) -> "Store":
        """Return the results database for a change, which is noted in the audit.

        Args:
            action: what is done, such as `acknowledge`.
            monitor: the monitor that is concerned; empty for no single monitor.
            details: what the request says, for example the number of an episode.

        Raises:
            NoResultsError: there are no results yet.
        """
        from aemon.store.lists.audit_log import audited

        return audited(self.store, self.actor or Actor(), action, monitor, **details)

    @property
    def author(self) -> str:
        """The name of the author of changes; empty if unknown."""
        return self.actor.who if self.actor is not None else ""

    def narrowed(self, monitors: Sequence[str], actor: Actor | None = None) -> "Installation":
        """Return this installation with only some of its monitors, and with an author of changes.

        Operations on the result know no other monitors.
        """
        chosen = {name: self.config.monitors[name] for name in monitors}
        config = self.config.model_copy(update={"monitors": chosen})
        return Installation(config, self._store, self.clock, actor or self.actor, self.sums)

    def prepare(self) -> "Store":
        """Return the results database; make the database or its tables if they are missing.

        Raises:
            SchemaError: the database has the schema of another version of aemon.
            StoreError: the database fails.
        """
        from aemon.store.engine import open_engine

        if self._store is None:
            engine = open_engine(self.config.store.get_secret_value())
            self._store = _prepared_results(engine, self.clock)
        return self._store

    def monitors(self, name: str | None) -> list[str]:
        """Return a list with the named monitor; without a name, all monitors.

        Raises:
            UnknownMonitorError: there is no monitor of this name.
        """
        return choose_monitors(self.config, [name] if name is not None else None)

    def monitor(self, name: str | None) -> str:
        """Return the name of a monitor; without a name, the only configured monitor.

        Raises:
            ConfigError: there is no such monitor, or there are several monitors and none is named.
        """
        if name is None and len(self.config.monitors) > 1:
            raise ConfigError(
                "there are several monitors",
                todo=f"add --monitor: {', '.join(self.config.monitors)}",
            )
        return self.monitors(name)[0]


def choose_monitors(config: "Config", names: Sequence[str] | None) -> list[str]:
    """Return the named monitors; without names, all monitors.

    Raises:
        UnknownMonitorError: one of the names is not a monitor.
    """
    for name in names or ():
        if name not in config.monitors:
            near = get_close_matches(name, config.monitors, n=1)
            known = ", ".join(config.monitors)
            raise UnknownMonitorError(
                f"there is no monitor {name!r}",
                todo=f"did you mean {near[0]!r}?" if near else f"there are: {known}",
            )
    return list(names or config.monitors)


def _existing_results(config: "Config", clock: Clock) -> "Store":
    from aemon.config.values.addresses import public_address
    from aemon.store.engine import open_engine
    from aemon.store.schema import revisions

    engine = open_engine(config.store.get_secret_value())
    if revisions.current_revision(engine) is None:
        raise NoResultsError(
            f"there are no results yet in {public_address(engine.url)}",
            todo="run `aemon run`, or correct `store` in the configuration",
        )
    return _prepared_results(engine, clock)


def _prepared_results(engine: "Engine", clock: Clock) -> "Store":
    from aemon.store.schema import revisions
    from aemon.store.store import Store

    revisions.prepare(engine)
    return Store(engine, clock)
