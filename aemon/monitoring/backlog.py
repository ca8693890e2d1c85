"""Backlogs: old records are judged in steps, with trainings between the steps."""

from datetime import UTC, datetime, timedelta

import numpy as np

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.reading.reader import Read, Reader
from aemon.records import Job, Watermark
from aemon.store.detectors import StoredDetector

LEAST_PIECE = 500
"""Least number of backlog records that one run judges.

Drift and thresholds are checked after each run.
"""

LEARNED_SHARE = 0.25
"""Least number of judged records before a training, as a share of the training records.

With one training for each day of a history, a history of years would take hours, and most
detectors would be alike.
"""


class Backlog:
    """The progress of judging the records that a source had before aemon watched the source.

    A record belongs to the backlog if it existed at the first run of this process and is older than
    `train_every`. So new records with old times, such as records of a replay, are judged without
    steps.

    A run judges one step: the records of one `train_every` by their event times, and at least
    `LEAST_PIECE` records. The run ends after the step, so that drift is found and the target rate
    is kept. When a training is due, it is requested, and the next step waits for the new detector.
    """

    def __init__(self, settings: MonitorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.behind = False
        """Whether the last run left records of a backlog to the next step."""

        self._end: datetime | None = None  # event time of the newest record at the first run
        self._pause = timedelta(0)  # between two trainings
        self._newest = 0  # id of the newest detector seen
        self._on_trial = False
        self._learned = 0  # training records of the active detector
        # Event time of the watermark when the newest detector was first seen:
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._records = 0  # number of records judged since the newest detector was first seen
        self._piece_from: datetime | None = None
        self._piece_records = 0

    def begin(self, active: StoredDetector, on_trial: int | None, mark: Watermark | None) -> None:
        """Reset the state of the step at the beginning of a run.

        Args:
            active: the detector that judges.
            on_trial: id of the detector on trial; None without a trial.
            mark: the monitor's watermark.
        """
        newest = max(active.id, on_trial or 0)
        if newest > self._newest or self._since is None:
            self._newest, self._records = newest, 0
            self._since = mark.event_time if mark is not None else None
        self._on_trial, self._learned = on_trial is not None, active.training_records
        self._until = mark.event_time if mark is not None else None
        self._pause = self._settings.pause(Job.TRAIN, self._clock())
        self.behind, self._piece_from, self._piece_records = False, None, 0

    def piece(
        self, reader: Reader, position: Watermark | None, read: Read
    ) -> tuple[Read | None, bool]:
        """Return the records of a read that belong to the run's step, and whether the step ends.

        The records are None if the step had ended before this read.

        Args:
            reader: reads the leading records again, if only these belong to the step.
            position: watermark before the read.
            read: the next records of the source.

        Raises:
            AemonError: the source cannot be read.
        """
        recent = self._clock() - self._pause
        first, _ = _first_and_newest(read)
        if first is None or first >= recent:
            return read, False
        if self._end is None:
            _, newest = _first_and_newest(reader.newest(None, 1))
            self._end = newest or first
        recent = min(recent, self._end)
        if first >= recent:
            return read, False
        self._piece_from = self._piece_from or first
        count = read.leading(min(self._piece_from + self._pause, recent))
        count = max(count, min(LEAST_PIECE - self._piece_records, read.fetched))
        self._piece_records += count
        if count >= read.fetched:
            return read, False
        self.behind = True
        return reader.after(position, count) if count > 0 else None, True

    def judged(self, records: int, mark: Watermark | None) -> None:
        """Count judged records.

        Args:
            records: number of judged records.
            mark: the monitor's watermark after the records.
        """
        self._records += records
        self._until = mark.event_time if mark is not None else None

    @property
    def why_train(self) -> str:
        """Reason for a training; empty if no training is due or a detector is on trial."""
        if not self.behind or self._on_trial or not self._is_due():
            return ""
        return f"schedule: a backlog was judged from {self._period}"

    @property
    def without_training(self) -> str:
        """Warning for a run without trainings between steps; empty if no training is due."""
        if not self._is_due():
            return ""
        return (
            f"one detector judged all records from {self._period}: `aemon run` trains between steps"
        )

    def _is_due(self) -> bool:
        """Return whether a training has become due since the newest detector."""
        if self._since is None or self._until is None:
            return False
        enough = self._records >= max(LEAST_PIECE, LEARNED_SHARE * self._learned)
        recent = self._clock() - self._pause
        return enough and self._until - self._since >= self._pause and self._until < recent

    @property
    def _period(self) -> str:
        return f"{self._since:%Y-%m-%d %H:%M} to {self._until:%Y-%m-%d %H:%M}"

    @property
    def summary(self) -> str:
        """Progress of the backlog in words."""
        until = f" up to {self._until:%Y-%m-%d %H:%M}" if self._until is not None else ""
        return f"a backlog is judged step by step,{until} so far"


def _first_and_newest(read: Read) -> tuple[datetime | None, datetime | None]:
    """Return the event times of the first record with a time, and of the newest record."""
    times = read.times[~np.isnat(read.times)].astype("datetime64[us]")
    if not len(times):
        return None, None
    return times[0].item().replace(tzinfo=UTC), times.max().item().replace(tzinfo=UTC)
