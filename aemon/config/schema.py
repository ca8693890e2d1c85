"""What a configuration may say. Every key's default and meaning stand here and only here."""

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
_LONGEST_NAME = 100  # characters of a monitor's name, which stands in every index of the store
LATE_RUNS = 3
OLD_TRAININGS = 3
TRAINING_TIME = timedelta(hours=1)  # more than it takes, and its wait for a worker
STALE_PAUSES = 3
STALE_AT_LEAST = timedelta(minutes=15)
Keep = Literal["all", "flagged"] | Annotated[float, Field(gt=0, lt=1)]


class MonitorSettings(Settings):
    """One configured unit that is watched."""

    source: Source
    score_every: Schedule = Field(
        description="pause between scoring runs, or five fields of cron: */5 8-18 * * 1-5"
    )
    train_every: Schedule = Field(
        timedelta(days=1), description="age at which a detector is replaced, or cron"
    )
    timezone: TimeZone = Field("UTC", description="zone of cron schedules and of rhythms")
    holidays: Holidays | None = Field(
        None,
        description="country, or part of one, whose public holidays count as Sundays in rhythms: "
        "DE or DE-BY",
    )
    jitter: Duration | None = Field(
        None, description="scoring runs begin up to so much later, by chance, to spread load"
    )
    grace: Duration | None = Field(
        None, description="a later tick is not run any more; default the pause to the next one"
    )
    min_records: int | None = Field(
        None,
        ge=50,
        le=MOST,
        description="cold start ends at this many records, and the first detector learns from no "
        "more; default by the number of columns, see `aemon check`, and from all there are",
    )
    start: Literal["beginning", "now"] = Field(
        "beginning",
        description="where there are more records than it may learn from, the first detector "
        "learns from the first and judges all later ones, or from the newest and judges what follows",
    )
    max_training_records: int = Field(
        50_000,
        ge=50,
        le=MOST,
        description="a detector learns from at most this many newest records",
    )
    chunk_records: int = Field(
        10_000, ge=1, le=MOST, description="records judged and committed at once"
    )
    lateness: Duration | None = Field(
        None,
        description="records up to so much older than the newest are looked for again and again, "
        "so that late and corrected ones are judged; still later ones are counted and left",
    )
    episodes: EpisodeSettings = EpisodeSettings()
    quiet: QuietSettings = QuietSettings()
    life: LifecycleSettings = LifecycleSettings()
    stale_after: AutoAfter = Field(
        "auto",
        description="a newest record older than this is told as a stale source; auto: three pauses "
        "of score_every, 15m at least; never where records come now and then",
    )
    silent_after: AutoAfter = Field(
        "auto",
        description="an entity that sends no records for so long, while others do, is told as silent; "
        "auto: three times its longest pause in training; never tells of none",
    )
    watch_rate: bool = Field(
        True, description="tell when many more or many fewer records come per time than in training"
    )
    labels: dict[str, str] = Field(
        {}, description="labels of its Prometheus rules and notifications, for routing"
    )
    entity_metrics: int = Field(
        0, ge=0, le=1000, description="show the exceedance of up to so many entities as metrics"
    )
    keep: Keep = Field(
        "all", description="scores to store: all, flagged, or a share of the normal ones (0.05)"
    )
    score_timeout: Duration = Field(timedelta(minutes=5), description="longest scoring run")
    train_timeout: Duration = Field(timedelta(minutes=30), description="longest training run")
    columns: ColumnSettings = ColumnSettings()
    detector: DetectorSettings = DetectorSettings()
    threshold: ThresholdSettings = ThresholdSettings()

    @model_validator(mode="after")
    def _learns_from_min_records(self) -> Self:
        if self.min_records is not None and self.max_training_records < self.min_records:
            raise AtKeyError(
                "max_training_records",
                f"{self.max_training_records} is less than min_records, {self.min_records}; "
                "raise it, or lower min_records",
            )
        return self

    @model_validator(mode="after")
    def _counts_what_is_kept(self) -> Self:
        if self.quiet.least_records and self.keep != "all":
            raise AtKeyError(
                "keep",
                f"quiet.least_records counts stored scores, and keep: {self.keep} leaves some out; "
                "keep all, or leave least_records out",
            )
        return self

    @field_validator("labels")
    @classmethod
    def _labels_of_its_own(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if not value or "{{" in value:  # no label to Prometheus, or a template
                raise ValueError(f"{name}: a label's value is plain text, and not empty")
            if not LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r}: a label's name has letters, digits and '_'")
            if name in TAKEN_LABELS:
                raise ValueError(f"{name!r} is set by aemon or Prometheus; choose another name")
        return labels

    def pause(self, job: Job, now: datetime) -> timedelta:
        """The longest pause between two runs of scoring, or of training, from now on."""
        schedule = self.score_every if job is Job.SCORE else self.train_every
        return longest_pause(schedule, ZoneInfo(self.timezone), now)

    def usual_pause(self, now: datetime) -> timedelta:
        """The usual pause between two scoring runs; shorter than the longest only with cron."""
        return usual_pause(self.score_every, ZoneInfo(self.timezone), now)

    def late_after(self, now: datetime) -> datetime:
        """When a monitor is late, if no scoring run ends well from now on: three are due by then.

        And half of `score_timeout` later, for so long takes a run that reads a backlog.
        """
        due = moment_after(self.score_every, ZoneInfo(self.timezone), now, LATE_RUNS)
        return due + self.score_timeout / 2

    def old_age(self, now: datetime) -> timedelta:
        """The age of the active detector at which its successors fail, or are rejected.

        Its own trial and the next one's are part of it.
        """
        trials = 2 * self.life.trial_longest if self.life.trial else timedelta(0)
        return OLD_TRAININGS * self.pause(Job.TRAIN, now) + trials + TRAINING_TIME

    def stale_age(self, now: datetime) -> timedelta | None:
        """The age of the newest record that makes the source stale; None where none does."""
        if self.stale_after != "auto":
            return self.stale_after
        return max(STALE_AT_LEAST, STALE_PAUSES * self.pause(Job.SCORE, now))

    @property
    def keep_share(self) -> float:
        """The share of the normal records whose scores are stored."""
        return {"all": 1.0, "flagged": 0.0}[self.keep] if isinstance(self.keep, str) else self.keep

    @property
    def learning(self) -> LearningSettings:
        """The part that decides what a detector learns."""
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
        timedelta(seconds=10), description="how often this file is looked at for changes"
    )
    trainings_at_once: int = Field(
        1,
        ge=1,
        le=1000,
        description="training workers at once; each takes a core, and up to life.train_memory",
    )
    notify: dict[str, Receiver] = Field(
        {}, description="name -> receiver, which aemon itself tells of episodes"
    )
    monitors: dict[str, MonitorSettings] = Field(min_length=1, description="name -> monitor")

    @model_validator(mode="after")
    def _receivers_tell_of_monitors(self) -> Self:
        check_receivers(self.notify, self.monitors)
        return self

    @model_validator(mode="after")
    def _late_records_are_still_known(self) -> Self:
        kept = self.retention.scores
        for name, monitor in self.monitors.items():
            if kept is not None and monitor.lateness is not None and monitor.lateness >= kept:
                raise AtKeyError(
                    "retention",
                    f"scores are forgotten while {name} still looks for late records of that age; "
                    f"raise retention.scores, or lower the monitor's lateness",
                )
        return self

    @field_validator("monitors")
    @classmethod
    def _plain_names(cls, monitors: dict[str, MonitorSettings]) -> dict[str, MonitorSettings]:
        for name in monitors:
            if not name.replace("-", "_").replace(".", "_").isidentifier():
                raise ValueError(
                    f"{name!r}: a monitor's name has letters, digits, '_', '-' and '.'"
                )
            if len(name) > _LONGEST_NAME:
                raise ValueError(
                    f"a monitor's name has {len(name)} characters; give it at most {_LONGEST_NAME}"
                )
        return monitors
