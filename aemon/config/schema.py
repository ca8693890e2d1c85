"""The classes for the whole configuration file: each key with its default and its meaning."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.episode_settings import EpisodeSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.quiet_settings import QuietSettings
from aemon.config.receiver_settings import Receiver, check_receivers
from aemon.config.service_settings import (
    HttpSettings,
    LogSettings,
    ReplicaSettings,
    RetentionSettings,
)
from aemon.config.source_registry import Source
from aemon.config.threshold_settings import ThresholdSettings
from aemon.config.values.cron import longest_pause, moment_after, usual_pause
from aemon.config.values.holidays_of import Holidays
from aemon.config.values.scalars import MOST, AtKeyError, Settings
from aemon.config.values.times import AutoAfter, Duration, Pause, Schedule, TimeZone
from aemon.records import Job

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
TAKEN_LABELS = frozenset(
    {
        "alertname",
        "monitor",
        "entity",
        "severity",
        "pause",
        "run",
        "job",
        "instance",
        "episode",
        "reason",
    }
)
_LONGEST_NAME = 100  # characters of a monitor's name, which is in every index of the store
LATE_RUNS = 3
OLD_TRAININGS = 3
TRAINING_TIME = timedelta(hours=1)  # longer than a training together with its wait for a worker
STALE_PAUSES = 3
STALE_AT_LEAST = timedelta(minutes=15)
Keep = Literal["all", "flagged"] | Annotated[float, Field(gt=0, lt=1)]


class MonitorSettings(Settings):
    """The settings of a monitor: its source, its schedules and its detector."""

    source: Source
    score_every: Schedule = Field(
        description="pause between scoring runs, or five fields of cron: */5 8-18 * * 1-5"
    )
    train_every: Schedule = Field(
        timedelta(days=1),
        description="age of the active detector at which a new detector is trained, or five "
        "fields of cron",
    )
    timezone: TimeZone = Field("UTC", description="time zone of cron schedules and of seasons")
    holidays: Holidays | None = Field(
        None,
        description="country, or part of a country, whose public holidays count as Sundays in "
        "seasons: DE or DE-BY",
    )
    jitter: Duration | None = Field(
        None,
        description="longest random delay of a scoring run; random delays spread the load of many "
        "monitors",
    )
    grace: Duration | None = Field(
        None,
        description="a run that is overdue by more than this is skipped; default: the longest "
        "pause between two ticks",
    )
    min_records: int | None = Field(
        None,
        ge=50,
        le=MOST,
        description="number of records that end the cold start and train the first detector; "
        "default: a number computed from the columns (see `aemon check`) ends the cold start, and "
        "all records train the first detector",
    )
    start: Literal["beginning", "now"] = Field(
        "beginning",
        description="training set of the first detector, if the history has more records than are "
        "needed; beginning: the oldest records, and all later records are judged; now: the newest "
        "records, and only records that arrive later are judged",
    )
    max_training_records: int = Field(
        50_000,
        ge=50,
        le=MOST,
        description="a detector is trained on at most this many of the newest records",
    )
    chunk_records: int = Field(
        10_000, ge=1, le=MOST, description="number of records that are judged and committed at once"
    )
    lateness: Duration | None = Field(
        None,
        description="aemon looks repeatedly for records up to this much older than the newest record, "
        "so that late and corrected records are judged; records that are even older are counted and "
        "not judged",
    )
    episodes: EpisodeSettings = EpisodeSettings()
    quiet: QuietSettings = QuietSettings()
    life: LifecycleSettings = LifecycleSettings()
    stale_after: AutoAfter = Field(
        "auto",
        description="the source is reported as stale if its newest record is older than this; "
        "auto: three pauses of score_every, at least 15m; never: no report, for a source whose "
        "records arrive at irregular times",
    )
    silent_after: AutoAfter = Field(
        "auto",
        description="an entity is reported as silent if it has no records for this time while "
        "other entities have; auto: three times the entity's longest pause in its training set; "
        "never: no entity is reported",
    )
    watch_rate: bool = Field(
        True,
        description="report if many more or fewer records arrive per unit of time than in training",
    )
    labels: dict[str, str] = Field(
        {},
        description="labels of the monitor's Prometheus rules and notifications, for routing",
    )
    entity_metrics: int = Field(
        0, ge=0, le=1000, description="number of entities whose exceedance is exported as a metric"
    )
    keep: Keep = Field(
        "all", description="scores to store: all, flagged, or a share of the normal records (0.05)"
    )
    score_timeout: Duration = Field(
        timedelta(minutes=5), description="longest duration of a scoring run"
    )
    train_timeout: Duration = Field(
        timedelta(minutes=30), description="longest duration of a training run"
    )
    columns: ColumnSettings = ColumnSettings()
    detector: DetectorSettings = DetectorSettings()
    threshold: ThresholdSettings = ThresholdSettings()

    @model_validator(mode="after")
    def _learns_from_min_records(self) -> Self:
        if self.min_records is not None and self.max_training_records < self.min_records:
            raise AtKeyError(
                "max_training_records",
                f"{self.max_training_records} is less than min_records, {self.min_records}; "
                "raise max_training_records, or lower min_records",
            )
        return self

    @model_validator(mode="after")
    def _counts_what_is_kept(self) -> Self:
        if self.quiet.least_records and self.keep != "all":
            raise AtKeyError(
                "keep",
                f"quiet.least_records counts stored scores, but keep: {self.keep} does not store "
                "all scores; write keep: all, or remove quiet.least_records",
            )
        return self

    @field_validator("labels")
    @classmethod
    def _labels_of_its_own(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if not value or "{{" in value:  # Prometheus drops empty labels and fills templates
                raise ValueError(f"{name}: a label's value must be plain text, and not empty")
            if not LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r}: a label's name may have letters, digits and '_'")
            if name in TAKEN_LABELS:
                raise ValueError(f"{name!r} is set by aemon or Prometheus; choose another name")
        return labels

    def pause(self, job: Job, now: datetime) -> timedelta:
        """Return the longest pause between two runs of a job (scoring or training), from now on."""
        schedule = self.score_every if job is Job.SCORE else self.train_every
        return longest_pause(schedule, ZoneInfo(self.timezone), now)

    def usual_pause(self, now: datetime) -> timedelta:
        """Return the usual pause between two scoring runs: with cron, the median of the pauses."""
        return usual_pause(self.score_every, ZoneInfo(self.timezone), now)

    def late_after(self, now: datetime) -> datetime:
        """Return the time at which a monitor is late, if no scoring run succeeds from now on.

        This time is half of `score_timeout` after the third tick from now on: a run that reads a
        backlog may take this long. The monitor is late if none of the three runs has succeeded by
        this time.
        """
        due = moment_after(self.score_every, ZoneInfo(self.timezone), now, LATE_RUNS)
        return due + self.score_timeout / 2

    def old_age(self, now: datetime) -> timedelta:
        """Return the age from which the active detector is too old.

        The age is the time of three pauses between trainings, of two trials, and of one training.
        An older active detector means that new detectors failed, in training or in a trial.
        """
        trials = 2 * self.life.trial_longest if self.life.trial else timedelta(0)
        return OLD_TRAININGS * self.pause(Job.TRAIN, now) + trials + TRAINING_TIME

    def stale_age(self, now: datetime) -> timedelta | None:
        """Return the age of the newest record from which the source is stale; None: never stale."""
        if self.stale_after != "auto":
            return self.stale_after
        return max(STALE_AT_LEAST, STALE_PAUSES * self.pause(Job.SCORE, now))

    @property
    def keep_share(self) -> float:
        """The share of the normal records whose scores are stored."""
        return {"all": 1.0, "flagged": 0.0}[self.keep] if isinstance(self.keep, str) else self.keep

    @property
    def learning(self) -> LearningSettings:
        """The settings that decide what a detector learns."""
        return LearningSettings(
            columns=self.columns,
            detector=self.detector,
            threshold=self.threshold,
            timezone=self.timezone,
            holidays=self.holidays,
        )


class Config(Settings):
    """The whole configuration file."""

    store: SecretStr = Field(
        SecretStr("sqlite:///aemon.db"),
        description="results database: sqlite:///… or postgresql://…",
    )
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    replicas: ReplicaSettings = ReplicaSettings()
    reload_every: Pause = Field(
        timedelta(seconds=10), description="how often this file is checked for changes"
    )
    trainings_at_once: int = Field(
        1,
        ge=1,
        le=1000,
        description="number of trainings at the same time; each training uses one core, and "
        "memory up to life.train_memory",
    )
    notify: dict[str, Receiver] = Field(
        {}, description="name -> receiver that aemon itself notifies of episodes"
    )
    monitors: dict[str, MonitorSettings] = Field(min_length=1, description="name -> monitor")

    @model_validator(mode="after")
    def _receivers_are_valid(self) -> Self:
        check_receivers(self.notify, self.monitors)
        return self

    @model_validator(mode="after")
    def _late_records_are_still_known(self) -> Self:
        kept = self.retention.scores
        for name, monitor in self.monitors.items():
            if kept is not None and monitor.lateness is not None and monitor.lateness >= kept:
                raise AtKeyError(
                    "retention",
                    f"scores are removed at an age at which {name} still looks for late records; "
                    f"raise retention.scores, or lower the monitor's lateness",
                )
        return self

    @field_validator("monitors")
    @classmethod
    def _plain_names(cls, monitors: dict[str, MonitorSettings]) -> dict[str, MonitorSettings]:
        for name in monitors:
            if not name.replace("-", "_").replace(".", "_").isidentifier():
                raise ValueError(
                    f"{name!r}: a monitor's name may have letters, digits, '_', '-' and '.'"
                )
            if len(name) > _LONGEST_NAME:
                raise ValueError(
                    f"a monitor's name has {len(name)} characters, more than {_LONGEST_NAME}"
                )
        return monitors
