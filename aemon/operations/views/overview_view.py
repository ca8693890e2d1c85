"""The overview: every monitor with its state in words, sorted by what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from aemon.config.schema import MonitorSettings
from aemon.errors import NoResultsError
from aemon.operations.installation import Installation
from aemon.operations.status_report import MonitorStatus, StatusPage
from aemon.operations.views.recent_exceedances import RecentExceedances
from aemon.records import Outcome, Severity
from aemon.store.page_queries.monitor_states import open_severities
from aemon.texts import cut

MOST_SHOWN = 200  # monitors on the overview, unless all are requested
_FAILED = {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED}
_LONGEST_REASON = 300  # characters


class Need(IntEnum):
    """What a monitor needs of a person; the lowest value is the most urgent."""

    FAILING = 0
    CRITICAL = 1
    EPISODE = 2
    DRIFT = 3
    PROMISE = 4
    STALE = 5
    STARTING = 6
    COLLECTING = 7
    NOTHING = 8

    @property
    def words(self) -> str:
        """The state in words."""
        return _WORDS[self]

    @property
    def level(self) -> str:
        """How urgent the state is: `bad`, `warning`, `waiting` or `good`."""
        if self <= Need.CRITICAL:
            return "bad"
        if self <= Need.STALE:
            return "warning"
        return "waiting" if self < Need.NOTHING else "good"


_WORDS = {
    Need.FAILING: "failing",
    Need.CRITICAL: "critical episode",
    Need.EPISODE: "open episode",
    Need.DRIFT: "drifting",
    Need.PROMISE: "flags too much",
    Need.STALE: "stale",
    Need.STARTING: "starting",
    Need.COLLECTING: "collecting",
    Need.NOTHING: "watching",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorLine:
    """A monitor on the overview.

    Attributes:
        monitor: the state of the monitor.
        source: kind of its source.
        need: what the monitor needs of a person.
        reason: the reason, as a sentence; empty if the state says all.
        read: records that were read during the cold start.
        wanted: records that end the cold start.
        budget_used: realised rate divided by the target rate; None without judged records.
        trace: the largest exceedance of each half hour of the last day; None without records.
    """

    monitor: MonitorStatus
    source: str
    need: Need
    reason: str
    read: int
    wanted: int
    budget_used: float | None
    trace: Sequence[float | None] = ()

    @classmethod
    def of(
        cls,
        monitor: MonitorStatus,
        status: StatusPage,
        settings: MonitorSettings | None,
        severity: Severity | None,
        trace: Sequence[float | None] = (),
    ) -> "MonitorLine":
        """Return a monitor with what it needs of a person.

        Args:
            monitor: the state of the monitor.
            status: the status page of the daemon.
            settings: the settings of the monitor; None if they are not known.
            severity: the highest severity of its open episodes; None without open episodes.
            trace: its exceedances of the last day.
        """
        need, reason = _need(monitor, settings, severity, status.now)
        rate, share = monitor.false_alarm_rate, monitor.realised.share
        return cls(
            monitor=monitor,
            source=status.sources.get(monitor.name, ""),
            need=need,
            reason=cut(reason, _LONGEST_REASON),
            read=monitor.last_score.records_read if monitor.last_score else 0,
            wanted=status.wanted.get(monitor.name, 0),
            budget_used=share / rate if share is not None and rate else None,
            trace=trace,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The contents of the overview.

    Attributes:
        status: the status page of the daemon.
        lines: the monitors, most urgent first, at most as many as requested.
        monitors: number of monitors, also those that are not among the lines.
        counts: need -> number of monitors, without needs of no monitor.
    """

    status: StatusPage
    lines: tuple[MonitorLine, ...]
    monitors: int
    counts: Mapping[Need, int]

    @property
    def needing(self) -> int:
        """The number of monitors that need a person."""
        return sum(count for need, count in self.counts.items() if need <= Need.STALE)

    @property
    def worst(self) -> str:
        """The level of the most urgent state."""
        return min(self.counts, default=Need.NOTHING).level


def overview_of(
    installation: Installation,
    status: StatusPage,
    recent: RecentExceedances,
    *,
    search: str = "",
    limit: int = MOST_SHOWN,
) -> Overview:
    """Return the contents of the overview.

    Args:
        installation: the installation.
        status: the status page of the daemon.
        recent: the exceedances of the last day.
        search: only monitors whose name contains this text, in any case.
        limit: largest number of monitors.

    Raises:
        StoreError: the database fails.
    """
    names = [monitor.name for monitor in status.monitors]
    try:
        severities = open_severities(installation.store, names)
        traces = recent.traces(installation.store, names, status.now)
    except NoResultsError:
        severities, traces = {}, {}
    settings = installation.config.monitors
    lines = [
        MonitorLine.of(
            monitor,
            status,
            settings.get(monitor.name),
            severities.get(monitor.name),
            traces.get(monitor.name, ()),
        )
        for monitor in status.monitors
    ]
    counts: dict[Need, int] = {}
    for line in lines:
        counts[line.need] = counts.get(line.need, 0) + 1
    lines = [line for line in lines if search.lower() in line.monitor.name.lower()]
    lines.sort(key=lambda line: (line.need, line.monitor.name))
    return Overview(status=status, lines=tuple(lines[:limit]), monitors=len(names), counts=counts)


def _need(
    monitor: MonitorStatus,
    settings: MonitorSettings | None,
    severity: Severity | None,
    now: datetime,
) -> tuple[Need, str]:
    """Return what a monitor needs, and the reason: the most urgent of its needs."""
    run, training = monitor.last_score, monitor.last_train
    late = _stale(monitor, settings, now)
    found: list[tuple[Need, str]] = [(Need.NOTHING, "")]
    if run is not None and run.outcome in _FAILED:
        found.append((Need.FAILING, run.reason))
    if training is not None and training.outcome in _FAILED:
        found.append((Need.FAILING, f"training {training.outcome}: {training.reason}"))
    if severity is not None:
        found.append((Need.CRITICAL if severity is Severity.CRITICAL else Need.EPISODE, ""))
    if monitor.drifts or monitor.traffic:
        found.append((Need.DRIFT, ""))
    if monitor.breaks_promise:
        found.append((Need.PROMISE, "far above the target: aemon doctor shows why"))
    if run is None:
        found.append((Need.STARTING, ""))
    elif monitor.detector_version is None:
        found.append((Need.COLLECTING, run.reason))
    elif late:
        found.append((Need.STALE, late))
    return min(found, key=lambda each: each[0])


def _stale(monitor: MonitorStatus, settings: MonitorSettings | None, now: datetime) -> str:
    """Return why a monitor is stale: its newest record, or its last run; empty if it is not."""
    if settings is None:
        return ""
    age = settings.stale_age(now)
    if age is not None and monitor.read_until is not None and now - monitor.read_until > age:
        return "no new records: the newest record is too old"
    run = monitor.last_score
    if run is not None and now > settings.late_after(run.finished_at) + timedelta(minutes=1):
        return "no scoring run in time"
    return ""
