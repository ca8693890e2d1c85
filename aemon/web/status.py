"""What the status page and the health checks show: plain records, filled by the daemon."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from aemon.store.episode_queries import EpisodeSummary
from aemon.store.queries import FlaggedRecord, MonitorOverview


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the daemon has started, whether its scheduler still ticks, and what keeps it busy."""

    started: bool
    alive: bool
    heartbeat_age_seconds: float | None
    busy: str = ""  # why runs may have to wait; empty if they need not

    @property
    def told(self) -> str:
        """`ok`, `busy` or `dead`, and why."""
        age = self.heartbeat_age_seconds
        beat = "no heartbeat yet" if age is None else f"scheduler heartbeat {age:.0f} s ago"
        if not self.alive:
            return f"dead: {beat}"
        return f"busy: {self.busy}; {beat}" if self.busy else f"ok: {beat}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusPage:
    """Everything on the status page."""

    version: str
    now: datetime
    started_at: datetime
    wanted: Mapping[str, int]  # monitor -> records that end its cold start
    sources: Mapping[str, str]  # monitor -> kind of source
    monitors: Sequence[MonitorOverview]
    flagged: Sequence[FlaggedRecord]  # newest first
    episodes: Sequence[EpisodeSummary] = ()  # not closed, newest first
    provisional: Collection[str] = ()  # monitors whose line rests on too few records
    store: str = ""  # its address, without a password
    replica: str = ""  # what this daemon is called
    replicas: int = 1  # that live, this one included
    held: Collection[str] = ()  # monitors that are watched here
    health: Health | None = None
    config_refused: str = ""  # what is wrong with the file; empty while it is in use


def as_json(page: StatusPage) -> dict[str, Any]:
    """What `/status.json` tells: the daemon, and where every monitor stands."""
    health = page.health
    return {
        "aemon": page.version,
        "store": page.store,
        "replica": page.replica,
        "replicas": page.replicas,
        "now": page.now.isoformat(),
        "started_at": page.started_at.isoformat(),
        "uptime_seconds": round((page.now - page.started_at).total_seconds(), 1),
        "health": health.told if health else None,
        "config_refused": page.config_refused or None,
        "scheduler_lag_seconds": health.heartbeat_age_seconds if health else None,
        "monitors": [
            {
                **asdict(monitor),
                "held": monitor.name in page.held,
                "provisional": monitor.name in page.provisional,
            }
            for monitor in page.monitors
        ],
    }
