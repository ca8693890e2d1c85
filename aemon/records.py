"""The small frozen records that travel between layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

Identity = tuple[str, str]
"""(entity, record key): together they identify a record of one monitor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watermark:
    """How far a source has been read: everything up to and including one record.

    `event_time` is aware UTC, None where no time has been seen. `position` belongs to the
    source alone (JSON text): a file's offset, a key with its type.
    """

    event_time: datetime | None = None
    record_key: str = ""
    position: str = ""

    def __post_init__(self) -> None:
        if self.event_time is not None and self.event_time.utcoffset() is None:
            raise ValueError("a watermark's event_time must carry a time zone")


class Job(StrEnum):
    """Scheduled work."""

    SCORE = "score"
    TRAIN = "train"
    PRUNE = "prune"
    HINDSIGHT = "hindsight"  # the history that trained the first detector


class Outcome(StrEnum):
    """How a run ended. Every tick ends with an outcome and a reason; a silent tick is a bug."""

    RUNNING = "running"  # not ended, but something is committed: only in the ledger
    OK = "ok"
    NO_DATA = "no_data"
    COLLECTING = "collecting"
    SKIPPED = "skipped"
    MISFIRED = "misfired"
    ABANDONED = "abandoned"  # stopped by a shutdown or a newer run; nothing half-written
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Verdict(StrEnum):
    """The outcome for one record."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    SUPPRESSED = "suppressed"  # above the threshold, but not reported
    ABSENT = "absent"  # too many cells are missing to judge it
    IDLE = "idle"  # not judged: columns.only_when does not hold


class FeedbackVerdict(StrEnum):
    """The feedback of a person on a record, or on the records of a period."""

    FALSE_ALARM = "false_alarm"  # normal: used in training and in calibration
    CONFIRMED = "confirmed"  # an anomaly, flagged or not: never used in training
    IGNORE_UNTIL = "ignore_until"  # records from here to a time are left out of training


class Severity(StrEnum):
    """How far above the threshold an anomaly is."""

    WARNING = "warning"
    CRITICAL = "critical"


class Quiet(StrEnum):
    """Why a record above the threshold is suppressed: the first reason that applies, in this order.

    Each member carries its `words`: the reason as the end of the sentence "suppressed: ...".
    """

    words: str

    def __new__(cls, reason: str, words: str = "") -> Self:
        """Make a member that carries its words.

        Raises:
            TypeError: the member has no words. (`Quiet("drift")` finds a member and makes none.)
        """
        if not words:
            raise TypeError(f"{cls.__name__} {reason} has no words")
        member = str.__new__(cls, reason)
        member._value_ = reason
        member.words = words
        return member

    MAINTENANCE = "maintenance", "it lies in a period of the maintenance calendar"
    SNOOZED = "snoozed", "it lies in a period that was snoozed"
    DRIFT = "drift", "it belongs to a new level that was reported as drift and will be trained on"
    DIRECTION = "direction", "its columns deviate in a direction that does not matter"
    SMALL = "small", "its columns deviate by less than the least gap that matters"
    FEW = "few", "its entity had too few records in the window before it"
    EXCUSED = "excused", "a person marked a similar record as a false alarm"


class EpisodeState(StrEnum):
    """Whether an episode can still grow, and whether it was reported."""

    FORMING = "forming"  # still too short to be reported
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # acknowledged by a person; it can still grow
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """A run of adjacent anomalies of one entity.

    Attributes:
        started_at: event time of its first anomaly, aware UTC.
        ended_at: event time of its last anomaly so far.
        records: number of anomalies.
        peak_exceedance: the largest score over threshold; `peak_record_key` names its record.
        blame: column -> sum of its shares of the blame.
        signed: as `blame`; shares of values below the expectation count as negative.
        calm_records: calm records since its last anomaly.
        opened_at: when it was long enough to be reported; None if it never was.
        like_id: a similar earlier episode; `likeness` is 1 for an equal one.
        id: in the store; None before it is stored.
    """

    entity: str
    state: EpisodeState
    started_at: datetime
    ended_at: datetime
    records: int
    severity: Severity
    peak_exceedance: float
    peak_record_key: str
    blame: dict[str, float]
    signed: dict[str, float] = field(default_factory=dict)
    calm_records: int = 0
    opened_at: datetime | None = None
    like_id: int | None = None
    likeness: float | None = None
    id: int | None = None

    @property
    def is_reported(self) -> bool:
        """Whether the episode was ever long enough to be reported."""
        return self.opened_at is not None

    @property
    def feature(self) -> str:
        """The column most to blame over the whole episode."""
        return max(self.blame, key=lambda name: self.blame[name], default="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snooze:
    """A period of event time, `since` included and `until` not, whose anomalies are suppressed.

    `entity` None means all entities. `id` is the row in the store.
    """

    since: datetime
    until: datetime
    entity: str | None = None
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedEpisode:
    """An episode as an alert shows it; `column` is the column most to blame."""

    id: int
    entity: str
    severity: Severity
    state: EpisodeState
    column: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenEpisodes:
    """Reported episodes that are not closed, split by whether a person acknowledged them.

    Attributes:
        named: the first of them by severity, and episodes reported in the last minutes that are
            already over; a bounded number.
        unnamed: severity -> number of further episodes.
    """

    warning: int = 0
    critical: int = 0
    acknowledged: int = 0
    named: tuple[NamedEpisode, ...] = ()
    unnamed: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of open and acknowledged episodes."""
        return self.warning + self.critical + self.acknowledged


def similar_episode_text(episode: int, label: str) -> str:
    """Return the text that names a similar earlier episode.

    >>> similar_episode_text(41, "stuck sensor")
    'like episode 41, labelled stuck sensor'
    """
    return f"like episode {episode}" + (f", labelled {label}" if label else "")


class DetectorState(StrEnum):
    """The state of a detector in its lifecycle."""

    SHADOW = "shadow"  # on trial: it judges beside the active one and reports nothing
    ACTIVE = "active"
    RETIRED = "retired"  # was active once
    REJECTED = "rejected"  # never active: it lost its trial


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReport:
    """How far normal data has moved from the training records of a detector, after a run."""

    evidence: float  # log10 of the evidence that scores have drifted
    largest_index: float | None  # population stability index over the columns; None: too early
    open: int  # drifts that are not over
    found: int  # new ones
    provisional: bool  # too few records to show the target rate


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficReport:
    """How records arrive, compared with the training, after a run."""

    silent: int  # entities that send no records while others do
    unusual_rate: bool  # many more or many fewer records than ever in training


BROKEN_SHARE, BROKEN_TIMES, LEAST_BROKEN = 0.25, 10, 50
"""The target rate is broken where more than this share of the records is flagged, more than this
multiple of the target rate, and at least LEAST_BROKEN records. Faults rarely last that long."""


def promise_is_broken(flagged: int, judged: int, rate: float) -> bool:
    """Return whether the share of flagged records shows a wrong detector rather than faults.

    Args:
        flagged: number of flagged records.
        judged: number of judged records.
        rate: the target false-alarm rate.
    """
    return flagged >= LEAST_BROKEN and flagged > max(BROKEN_SHARE, BROKEN_TIMES * rate) * judged


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableColumn:
    """A column of which most cells of one fetch cannot be read.

    Attributes:
        column: its name.
        count: cells that cannot be read and count as missing.
        present: cells that are not empty.
        example: the first unreadable cell, as text.
        learned: the type of the column in training: numbers or text.
    """

    column: str
    count: int
    present: int
    example: str
    learned: str = "numbers"

    def __str__(self) -> str:
        """Return a sentence about it."""
        return (
            f"{self.column}: {self.count} of {self.present} values cannot be read as "
            f"{self.learned}, taken as missing: {self.example}"
        )

    def __add__(self, more: "UnreadableColumn") -> "UnreadableColumn":
        """Return both counts together, with the later example."""
        return replace(more, count=self.count + more.count, present=self.present + more.present)
