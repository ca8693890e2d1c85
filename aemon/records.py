"""The small frozen records that travel between layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

Identity = tuple[str, str]
"""(entity, record key): what identifies a record of one monitor."""


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
    HINDSIGHT = "hindsight"  # the history that the first detector learned from


class Outcome(StrEnum):
    """How a run ended. Every tick ends as one of these, with a reason: silence is a bug."""

    RUNNING = "running"  # it has not, but has committed something: only in the ledger
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
    SUPPRESSED = "suppressed"  # over the line, but to be kept quiet
    ABSENT = "absent"  # too little of the record was there to judge it
    IDLE = "idle"  # the machine was not at work, as the configuration has it: it was not judged


class FeedbackVerdict(StrEnum):
    """What a person says of a record, or of a stretch of records."""

    FALSE_ALARM = "false_alarm"  # it was normal: it is learned from, and calibrates
    CONFIRMED = "confirmed"  # it was an anomaly, flagged or not: it is never learned from
    IGNORE_UNTIL = "ignore_until"  # nothing from it on, up to a time, is learned from


class Severity(StrEnum):
    """How far over the line an anomaly is."""

    WARNING = "warning"
    CRITICAL = "critical"


class Quiet(StrEnum):
    """Why a record over the threshold is suppressed; the first that applies, in this order.

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

    MAINTENANCE = "maintenance", "it lies in a stretch of the maintenance calendar"
    SNOOZED = "snoozed", "it lies in a stretch that was snoozed"
    DRIFT = "drift", "it is of a new level that was reported as drift and is being learned"
    DIRECTION = "direction", "its columns deviate to the side that does not matter"
    SMALL = "small", "its columns deviate by less than matters"
    FEW = "few", "its entity had too few records in the window before it"
    EXCUSED = "excused", "a person called a record like it a false alarm"


class EpisodeState(StrEnum):
    """Whether an episode may go on, and whether people know of it."""

    FORMING = "forming"  # still too short to be told
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # a person took it up; it goes on as an open one does
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """A run of adjacent anomalies of one entity.

    Attributes:
        started_at: event time of its first anomaly, aware UTC.
        ended_at: event time of its last one so far.
        records: anomalies in it.
        peak_exceedance: the largest score over threshold, `peak_record_key` whose it is.
        blame: column -> its shares of the blame, summed.
        signed: the same, shares below the expectation counted as negative.
        calm_records: calm records since its last anomaly.
        opened_at: when it was long enough to be told; None if it never was.
        like_id: an earlier episode that looked the same, `likeness` how much.
        id: in the store, once it is there.
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
        """Whether it was ever long enough to be told to anybody."""
        return self.opened_at is not None

    @property
    def feature(self) -> str:
        """The column most to blame over the whole of it."""
        return max(self.blame, key=lambda name: self.blame[name], default="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snooze:
    """A stretch of event time, `since` included and `until` not, whose anomalies are suppressed.

    `entity` is whose; None means all. `id` is that in the store.
    """

    since: datetime
    until: datetime
    entity: str | None = None
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedEpisode:
    """What an alert says of an episode; `column` is the one most to blame."""

    id: int
    entity: str
    severity: Severity
    state: EpisodeState
    column: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenEpisodes:
    """How many told episodes are not closed: those that nobody has taken up, and those taken up.

    Attributes:
        named: the first of them, by severity, and those told in the last minutes though they are
            over; a bounded number.
        unnamed: severity -> how many more there are.
    """

    warning: int = 0
    critical: int = 0
    acknowledged: int = 0
    named: tuple[NamedEpisode, ...] = ()
    unnamed: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return self.warning + self.critical + self.acknowledged


def similar_episode_text(episode: int, label: str) -> str:
    """Which earlier episode one looks like, in words.

    >>> similar_episode_text(41, "stuck sensor")
    'like episode 41, labelled stuck sensor'
    """
    return f"like episode {episode}" + (f", labelled {label}" if label else "")


class DetectorState(StrEnum):
    """A detector's place in its life."""

    SHADOW = "shadow"  # on trial: it judges beside the active one, and nobody hears of it
    ACTIVE = "active"
    RETIRED = "retired"  # was active once
    REJECTED = "rejected"  # never was: its trial went against it


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReport:
    """How far normal life has moved from what a detector learned, after a run."""

    evidence: float  # log10, that scores have drifted
    largest_index: float | None  # population stability index over the columns; None: too early
    open: int  # drifts that are not over
    found: int  # new ones
    provisional: bool  # too few records to show the promised rate


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficReport:
    """How records come beside how they came in training, after a run."""

    silent: int  # entities that send none, while others do
    unusual_rate: bool  # many more or many fewer records than ever


BROKEN_SHARE, BROKEN_TIMES, LEAST_BROKEN = 0.25, 10, 50
"""A promise is broken where more than this share of the records is flagged, and this many times
what was promised, and at least so many: faults seldom last so long."""


def promise_is_broken(flagged: int, judged: int, rate: float) -> bool:
    """Return whether so many records were flagged that the detector was wrong, not the records.

    Args:
        flagged: how many.
        judged: of how many.
        rate: the false-alarm rate that was promised.
    """
    return flagged >= LEAST_BROKEN and flagged > max(BROKEN_SHARE, BROKEN_TIMES * rate) * judged


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableColumn:
    """A column of which most cells that were fetched together cannot be read.

    Attributes:
        column: its name.
        count: cells that cannot be read, and are taken as missing.
        present: cells that hold something.
        example: the first of them, as it is shown.
        learned: what the column was learned as: numbers or text.
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
