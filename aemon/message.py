"""The content of a notification, which is the same for all receivers: fields and plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from aemon.records import EpisodeState, Severity

VERSION = 1
"""The version of the fields; the version grows when a field changes its meaning or is removed."""


class Event(StrEnum):
    """What happened to an episode. A receiver gets each event of an episode at most once."""

    OPENED = "opened"  # the episode became long enough to be reported
    ESCALATED = "escalated"  # the episode was reported as a warning, and is critical now
    RESOLVED = "resolved"  # the episode has ended
    BACKLOG = "backlog"  # many old episodes, reported together once
    TEST = "test"  # nothing happened: a user tries a receiver


@dataclass(frozen=True, kw_only=True, slots=True)
class Blamed:
    """A column to blame: its share of the blame for the whole episode, and its values at the peak.

    `observed` and `expected` are text in original units; None if the peak record was removed.
    """

    column: str
    share: float
    observed: str | None = None
    expected: str | None = None
    unit: str = ""

    @property
    def summary(self) -> str:
        """The column, its values and its share as one text.

        >>> Blamed(column="flow", share=0.84, observed="2.1", expected="4.0", unit="l/s").summary
        'flow 2.1 l/s where 4.0 was expected (84 %)'
        """
        seen = ""
        if self.observed is not None:
            seen = f" {self.observed}" + (f" {self.unit}" if self.unit else "")
            if self.expected is not None:
                seen += f" where {self.expected} was expected"
        return f"{self.column}{seen} ({self.share:.0%})".replace("%", " %")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A notification with all its fields.

    Attributes:
        severity: the severity that is reported now. If it has risen, `before` is the severity that
            was reported earlier.
        started_at: event time of the first anomaly.
        ended_at: event time of the last anomaly so far.
        opened_at: time at which the episode became long enough to be reported.
        peak_exceedance: the largest exceedance; `peak_record` is the key of its record.
        reason: why the record `peak_record` was flagged; empty if the record was removed.
        columns: the columns to blame, the largest share first.
        acknowledged: whether a person acknowledged the episode.
        like: text that names a similar earlier episode; empty without such an episode.
        label: the label that a person gave the episode; empty without a label.
        page: the address of the status page, at this episode.
        sql: a query that returns the records of the episode.
        command: the command that shows the episode with its records.
        labels: the labels of the monitor, for routing.
        episodes: number of episodes in the message. The message about a backlog may have several
            episodes; `episode` is then the id of the newest episode.
    """

    event: Event
    episode: int
    monitor: str
    entity: str
    severity: Severity
    before: Severity | None = None
    state: EpisodeState
    started_at: datetime
    ended_at: datetime
    opened_at: datetime
    records: int
    peak_exceedance: float
    peak_record: str
    reason: str
    columns: tuple[Blamed, ...]
    acknowledged: bool = False
    like: str = ""
    label: str = ""
    page: str = ""
    sql: str = ""
    command: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    episodes: int = 1

    @property
    def id(self) -> str:
        """An id that stays the same if the message is sent again, so receivers can drop repeats."""
        identity = f"{self.monitor} {self.episode} {self.opened_at.isoformat()} {self.event}"
        return str(uuid5(NAMESPACE_URL, f"aemon:{identity}"))

    @property
    def whose(self) -> str:
        """The monitor, and the entity if there is one."""
        return f"{self.monitor}, {self.entity}" if self.entity else self.monitor

    @property
    def title(self) -> str:
        """One line: monitor, entity and what happened."""
        if self.event is Event.TEST:
            return f"test from aemon, with a made-up episode of {self.whose}"
        if self.event is Event.BACKLOG:
            return f"{self.whose}: {self.episodes} episodes in a backlog"
        what = {
            Event.OPENED: f"{self.severity} episode",
            Event.ESCALATED: f"now {self.severity}: episode",
            Event.RESOLVED: "resolved: episode",
        }[self.event]
        return f"{self.whose}: {what} {self.episode}"

    def variables(self) -> dict[str, Any]:
        """Return the fields as plain values for templates and JSON; times are ISO text in UTC."""
        return {
            "version": VERSION,
            "id": self.id,
            "event": self.event.value,
            "title": self.title,
            "monitor": self.monitor,
            "entity": self.entity,
            "episode": self.episode,
            "severity": self.severity.value,
            "severity_before": self.before.value if self.before else "",
            "state": self.state.value,
            "acknowledged": self.acknowledged,
            "started_at": iso(self.started_at),
            "ended_at": iso(self.ended_at),
            "opened_at": iso(self.opened_at),
            "records": self.records,
            "episodes": self.episodes,
            "peak_exceedance": round(self.peak_exceedance, 3),
            "peak_record": self.peak_record,
            "reason": self.reason,
            "columns": [
                {
                    "column": one.column,
                    "share": round(one.share, 4),
                    "observed": one.observed,
                    "expected": one.expected,
                    "unit": one.unit,
                    "told": one.summary,
                }
                for one in self.columns
            ],
            "like": self.like,
            "label": self.label,
            "page": self.page,
            "sql": self.sql,
            "command": self.command,
            "labels": dict(self.labels),
        }


def iso(time: datetime) -> str:
    """Return a time as ISO text in UTC, to the second.

    >>> iso(datetime(2026, 11, 20, 8, tzinfo=UTC))
    '2026-11-20T08:00:00Z'
    """
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_START = datetime(2026, 11, 20, 8, tzinfo=UTC)

EXAMPLE = Message(
    event=Event.TEST,
    episode=41,
    monitor="pumps",
    entity="p4",
    severity=Severity.CRITICAL,
    before=Severity.WARNING,
    state=EpisodeState.OPEN,
    started_at=_START,
    ended_at=_START + timedelta(minutes=3),
    opened_at=_START + timedelta(minutes=1),
    records=7,
    peak_exceedance=4.25,
    peak_record="4711",
    reason="temperature 0 °C where 45 was expected, given flow and current",
    columns=(
        Blamed(column="temperature", share=0.84, observed="0", expected="45", unit="°C"),
        Blamed(column="flow", share=0.09, observed="62", expected="36"),
    ),
    like="like episode 12, labelled stuck sensor",
    label="",
    page="http://127.0.0.1:9464/episodes/41",
    sql="SELECT * FROM flagged_records WHERE episode_id = 41 ORDER BY event_time;",
    command="aemon episodes show 41",
    labels={"team": "water"},
)
"""A made-up message, for trying templates and receivers."""
