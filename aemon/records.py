"""The small frozen records that travel between layers."""

from dataclasses import dataclass, field
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
    def is_told(self) -> bool:
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
class OpenEpisodes:
    """How many told episodes are not closed: those that nobody has taken up, and those taken up."""

    warning: int = 0
    critical: int = 0
    acknowledged: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.warning + self.critical + self.acknowledged


def told_like(episode: int, label: str) -> str:
    """Which earlier episode one looks like, in words.

    >>> told_like(41, "stuck sensor")
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
class RunReport:
    """What one run did; the ledger row and the metrics are made from it."""

    monitor: str
    job: Job
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    reason: str = ""
    detector_id: int | None = None  # who judged, or what was trained
    threshold_id: int | None = None
    records_read: int = 0
    records_scored: int = 0
    records_absent: int = 0  # scored records with too little there to judge
    records_late: int = 0
    records_revised: int = 0  # judged again, for they changed
    records_reviewed: int = 0  # known ones read again to look for late and corrected ones
    records_too_late: int = 0  # later than lateness allows: not judged
    rejected: tuple[tuple[str, int], ...] = ()  # (reason, count), only counts above zero
    cells_imputed: int = 0
    exceedances: tuple[float, ...] = ()  # of the anomalies
    critical: int = 0  # anomalies above the critical line
    suppressed: tuple[tuple[str, int], ...] = ()  # (reason, count) of those kept quiet
    episodes_opened: tuple[tuple[str, int], ...] = ()  # (severity, count) of those told now
    episodes_open: OpenEpisodes | None = None  # once it was looked
    largest_exceedance: float | None = None  # over all records scored
    by_entity: tuple[tuple[str, float], ...] = ()  # (entity, its largest exceedance)
    newest_record: datetime | None = None  # event time of the newest record read
    records_wanted: int = 0  # in a cold start: how many it takes to end it
    unfinished: bool = False  # the source has more to read at once
    drift: DriftReport | None = None  # None where nothing was judged
    ruling: str = ""  # of a trial that ended in it: promote or reject
    store_seconds: tuple[float, ...] = ()  # how long each of its commits took

    @property
    def seconds(self) -> float:
        """How long the run took, in seconds."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def anomalies(self) -> int:
        """How many records were judged anomalous."""
        return len(self.exceedances)

    @property
    def records_suppressed(self) -> int:
        """How many records were over the line, but kept quiet."""
        return sum(count for _, count in self.suppressed)

    @property
    def records_rejected(self) -> int:
        """How many records could not be judged at all."""
        return sum(count for _, count in self.rejected)
