"""The state of every monitor, for the status page, `/status.json` and `aemon status`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from aemon import __version__
from aemon.config.values.addresses import public_address
from aemon.lifecycle.cold_start import provisional_ones
from aemon.operations.installation import Installation
from aemon.operations.json_form import plain
from aemon.store.episode_queries import EpisodeSummary, episode_summaries
from aemon.store.leases import lease_rows
from aemon.store.queries import FlaggedRecord, MonitorOverview, flagged_records, overview

LATELY = timedelta(days=1)  # age up to which records are counted and listed
MOST_FLAGGED = 20  # newest flagged records on the page


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """The health of a daemon: its start, the heartbeat of its scheduler, and its load."""

    started: bool
    alive: bool
    heartbeat_age_seconds: float | None
    busy: str = ""  # why runs may have to wait; empty if no run has to wait
    dead_thread: str = ""  # name of an ended thread that the daemon needs; empty without one

    @property
    def summary(self) -> str:
        """The health in words: `ok`, `busy` or `dead`, with the reason."""
        age = self.heartbeat_age_seconds
        beat = "no heartbeat yet" if age is None else f"scheduler heartbeat {age:.0f} s ago"
        if not self.alive:
            reason = [f"the thread {self.dead_thread} has ended"] if self.dead_thread else []
            return f"dead: {'; '.join([*reason, *filter(None, [self.busy]), beat])}"
        return f"busy: {self.busy}; {beat}" if self.busy else f"ok: {beat}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorStatus(MonitorOverview):
    """The state of a monitor, with its lease and the quality of its threshold.

    Attributes:
        held: whether the answering daemon watches the monitor; if the state was read from the
            store without a daemon, whether any daemon watches the monitor.
        provisional: whether the threshold of the active detector has too few calibration records
            to show the target rate.
    """

    held: bool = False
    provisional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DaemonState:
    """The state of a running daemon that is not in the store.

    Attributes:
        started_at: the time of the daemon's start.
        replica: the name of the daemon.
        replicas: number of live daemons, including this daemon.
        held: names of the monitors that the daemon watches.
        wanted: monitor -> number of records that end its cold start.
        health: the health of the daemon.
        config_refused: why the configuration file is not in use; empty if it is in use.
    """

    started_at: datetime
    replica: str
    replicas: int
    held: Collection[str]
    wanted: Mapping[str, int]
    health: Health
    config_refused: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusPage:
    """The contents of the status page."""

    version: str
    now: datetime
    started_at: datetime
    wanted: Mapping[str, int]  # monitor -> records that end its cold start
    sources: Mapping[str, str]  # monitor -> kind of source
    monitors: tuple[MonitorStatus, ...]
    flagged: tuple[FlaggedRecord, ...]  # newest first
    episodes: tuple[EpisodeSummary, ...] = ()  # episodes that are not closed, newest first
    store: str = ""  # the store's address, without a password
    replica: str = ""  # the name of this daemon
    replicas: int = 1  # number of live daemons, including this daemon
    health: Health | None = None
    config_refused: str = ""  # why the configuration file is not in use; empty if it is in use

    def narrowed(self, knows: Callable[[str], bool]) -> "StatusPage":
        """Return the page with only the monitors that a client may know."""
        return replace(
            self,
            monitors=tuple(each for each in self.monitors if knows(each.name)),
            flagged=tuple(each for each in self.flagged if knows(each.monitor)),
            episodes=tuple(each for each in self.episodes if knows(each.monitor)),
            config_refused="",
        )

    def as_json(self) -> dict[str, Any]:
        """Return the contents of `/status.json`: the daemon, and the state of every monitor."""
        health = self.health
        return {
            "aemon": self.version,
            "store": self.store,
            "replica": self.replica,
            "replicas": self.replicas,
            "now": self.now.isoformat(),
            "started_at": self.started_at.isoformat(),
            "uptime_seconds": round((self.now - self.started_at).total_seconds(), 1),
            "health": health.summary if health else None,
            "config_refused": self.config_refused or None,
            "scheduler_lag_seconds": health.heartbeat_age_seconds if health else None,
            "monitors": plain(self.monitors),
        }


def stored_status(
    installation: Installation, names: Sequence[str] | None = None
) -> tuple[MonitorStatus, ...]:
    """Return the state of these monitors, or of every monitor, read from the store.

    Raises:
        NoResultsError: there are no results yet.
    """
    names = list(installation.config.monitors) if names is None else names
    held = {row.monitor for row in lease_rows(installation.store, names) if row.is_held}
    return _monitors(installation, names, held)


def status_page(installation: Installation, daemon: DaemonState) -> StatusPage:
    """Return the contents of the status page of a daemon.

    Raises:
        StoreError: the database fails.
    """
    config, store, now = installation.config, installation.store, installation.clock()
    since = now - LATELY
    return StatusPage(
        version=__version__,
        now=now,
        started_at=daemon.started_at,
        wanted=daemon.wanted,
        sources={name: settings.source.kind for name, settings in config.monitors.items()},
        monitors=_monitors(installation, list(config.monitors), daemon.held),
        flagged=tuple(
            flagged_records(store, monitors=list(config.monitors), since=since, limit=MOST_FLAGGED)
        ),
        episodes=tuple(episode_summaries(store, config.monitors, open_only=True)),
        store=public_address(store.engine.url),
        replica=daemon.replica,
        replicas=daemon.replicas,
        health=daemon.health,
        config_refused=daemon.config_refused,
    )


def _monitors(
    installation: Installation, names: Sequence[str], held: Collection[str]
) -> tuple[MonitorStatus, ...]:
    since = installation.clock() - LATELY
    known = overview(installation.store, names, since, installation.sums)
    provisional = provisional_ones(known)
    return tuple(
        MonitorStatus(
            **_fields(monitor),
            held=monitor.name in held,
            provisional=monitor.name in provisional,
        )
        for monitor in known
    )


def _fields(monitor: MonitorOverview) -> dict[str, Any]:
    return {field.name: getattr(monitor, field.name) for field in fields(monitor)}
