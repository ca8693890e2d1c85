"""The small data classes and enumerations that the layers of aemon exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

Identity = tuple[str, str]
"""The pair (entity, record key), which identifies a record of one monitor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watermark:
    """The position up to which a source has been read: up to and including one record.

    `event_time` is aware UTC; None if no event time was read yet. `position` is JSON text that
    only the source reads, such as the offset in a file, or a key with its type.
    """

    event_time: datetime | None = None
    record_key: str = ""
    position: str = ""

    def __post_init__(self) -> None:
        if self.event_time is not None and self.event_time.utcoffset() is None:
            raise ValueError("a watermark's event_time must carry a time zone")


class Job(StrEnum):
    """A kind of scheduled work."""

    SCORE = "score"
    TRAIN = "train"
    PRUNE = "prune"
    HINDSIGHT = "hindsight"  # verdicts on the history that trained the first detector


class Outcome(StrEnum):
    """How a run ended. Every tick gets an outcome and a reason: a tick without them is a bug."""

    RUNNING = "running"  # the run has committed something, but has not ended: only in the ledger
    OK = "ok"
    NO_DATA = "no_data"
    COLLECTING = "collecting"
    SKIPPED = "skipped"
    MISFIRED = "misfired"
    ABANDONED = "abandoned"  # stopped by a shutdown or a newer run; no step is half-written
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Verdict(StrEnum):
    """The result for one record."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    SUPPRESSED = "suppressed"  # above the threshold, but not reported
    ABSENT = "absent"  # too many cells are missing to judge it
    IDLE = "idle"  # not judged: columns.only_when does not hold


class FeedbackVerdict(StrEnum):
    """The feedback of a person on a record, or on the records of a period."""

    FALSE_ALARM = "false_alarm"  # normal: used in training and in calibration
    CONFIRMED = "confirmed"  # an anomaly, flagged or not: never used in training
    IGNORE_UNTIL = "ignore_until"  # records from this record until a time: not used in training


class Severity(StrEnum):
    """How far above the threshold an anomaly is."""

    WARNING = "warning"
    CRITICAL = "critical"


class Quiet(StrEnum):
    """Why a record above the threshold is suppressed. The first reason that applies is used.

    Each member has `words`: the reason as the end of the sentence "suppressed: ...".
    """

    words: str

    def __new__(cls, reason: str, words: str = "") -> Self:
        """Make a member with its words.

        Raises:
            TypeError: the member has no words. (`Quiet("drift")` returns the existing member.)
        """
        if not words:
            raise TypeError(f"{cls.__name__} {reason} has no words")
        member = str.__new__(cls, reason)
        member._value_ = reason
        member.words = words
        return member

    MAINTENANCE = "maintenance", "it lies in a period of the maintenance calendar"
    SNOOZED = "snoozed", "it lies in a period that was snoozed"
    DRIFT = "drift", "it belongs to a new level that was reported as drift and will be learned"
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
    """Adjacent anomalies of one entity.

    Attributes:
        started_at: event time of the episode's first anomaly, aware UTC.
        ended_at: event time of the last anomaly so far.
        records: number of anomalies.
        peak_exceedance: the largest exceedance; `peak_record_key` is the key of its record.
        blame: column -> sum of the column's shares of the blame.
        signed: as `blame`, but the share of a value below the expected value counts as negative.
        calm_records: number of calm records since the last anomaly.
        opened_at: time at which the episode became long enough to be reported; None if it has
            never been long enough.
        like_id: number of a similar earlier episode; `likeness` is 1 if both are equal.
        id: number of the episode in the store; None before the episode is stored.
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
    """A period of event time, from `since` to just before `until`, with suppressed anomalies.

    If `entity` is None, the snooze is for all entities. `id` is the snooze's number in the store.
    """

    since: datetime
    until: datetime
    entity: str | None = None
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedEpisode:
    """The fields of an episode that an alert shows; `column` is the column most to blame."""

    id: int
    entity: str
    severity: Severity
    state: EpisodeState
    column: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenEpisodes:
    """Numbers of reported episodes that are not closed.

    Acknowledged episodes have a number of their own.

    Attributes:
        named: a limited number of episodes: the most severe open episodes, and episodes that were
            reported in the last minutes and are closed already.
        unnamed: severity -> number of open episodes that are not in `named`.
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

    SHADOW = "shadow"  # on trial: it judges beside the active detector, without effect
    ACTIVE = "active"
    RETIRED = "retired"  # was active once
    REJECTED = "rejected"  # never active: it lost its trial


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReport:
    """The drift of normal data from a detector's training records, as known after a run."""

    evidence: float  # log10 of the evidence that scores have drifted
    largest_index: float | None  # largest population stability index; None: too few records
    open: int  # number of drifts that have not ended
    found: int  # number of drifts that the run found
    provisional: bool  # too few calibration records to show the target rate


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficReport:
    """How records arrive after a run, compared with the training records."""

    silent: int  # number of entities that send no records while other entities do
    unusual_rate: bool  # far more or far fewer records than at any time in training


BROKEN_SHARE, BROKEN_TIMES, LEAST_BROKEN = 0.25, 10, 50
"""A detector breaks its target rate if three conditions hold: the flagged share of the records is
above BROKEN_SHARE; this share is above BROKEN_TIMES the target rate; at least LEAST_BROKEN records
are flagged. Faults rarely last long enough to meet all three conditions."""


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
    """A column in which most cells of one fetch cannot be read.

    Attributes:
        column: the name of the column.
        count: number of cells that cannot be read; these cells count as missing.
        present: number of cells that are not empty.
        example: the first unreadable cell, as text.
        learned: the type of the column in training: numbers or text.
    """

    column: str
    count: int
    present: int
    example: str
    learned: str = "numbers"

    def __str__(self) -> str:
        """Return a sentence about the unreadable cells."""
        return (
            f"{self.column}: {self.count} of {self.present} values cannot be read as "
            f"{self.learned}, taken as missing: {self.example}"
        )

    def __add__(self, more: "UnreadableColumn") -> "UnreadableColumn":
        """Return the sums of the counts of both fetches, with the example of the later fetch."""
        return replace(more, count=self.count + more.count, present=self.present + more.present)


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """The author of changes.

    Attributes:
        who: name of the user or token; empty if unknown.
        origin: by which way: `api`, `page`, or `cli` for the command line.
        address: network address of the client; empty for the command line.
    """

    who: str = ""
    origin: str = "cli"
    address: str = ""
