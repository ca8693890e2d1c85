"""What the status page and the health checks show: plain records, filled by the daemon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aemon.store.queries import FlaggedRecord, MonitorOverview


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the daemon has started, and whether its scheduler still ticks."""

    started: bool
    alive: bool
    heartbeat_age_seconds: float | None


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
