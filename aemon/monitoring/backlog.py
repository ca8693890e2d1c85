"""A backlog: records long past are judged piece by piece, with the trainings that would have come."""

from datetime import UTC, datetime, timedelta

import numpy as np

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.reading.reader import Read, Reader
from aemon.records import Job, Watermark
from aemon.store.detectors import StoredDetector

LEAST_PIECE = 500
"""Records of one run at least: drift and thresholds are looked at after each."""

LEARNED_SHARE = 0.25
"""A training is asked for after so many records at least, as a share of those learned from.

A training a day would take hours for years of history, and learn nearly the same each time.
"""


class Backlog:
    """The part of a source that was there before anybody watched, and how far it was judged.

    Records are of a backlog where they were there at the first run of this process and are older
    than `train_every`: a source whose live records carry old times, such as a replay, has none
    but those. A run judges one piece: as many as come in one `train_every` by their own times,
    `LEAST_PIECE` at least. It is over then, so that drift is found and the threshold is kept;
    and once a training would have come, it is asked for, and the rest waits for the new detector.
    """

    def __init__(self, settings: MonitorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.behind = False
        """Whether the last run left records of a backlog."""

        self._end: datetime | None = None  # event time of the newest record at the first run
        self._pause = timedelta(0)  # between two trainings
        self._newest = 0  # id of the newest detector seen
        self._on_trial = False
        self._learned = 0  # records that the active detector learned from
        self._since: datetime | None = None  # event time at which the newest detector came
        self._until: datetime | None = None
        self._records = 0  # judged since then
        self._piece_from: datetime | None = None
        self._piece_records = 0

    def begin(self, active: StoredDetector, on_trial: int | None, mark: Watermark | None) -> None:
        """Begin a run.

        Args:
            active: the detector that judges.
            on_trial: id of the detector on trial, if there is one.
            mark: where the monitor stands.
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
        """Return the records of a read that belong to the run's piece, and whether it ends there.

        None where none of them does: the piece has ended before.

        Args:
            reader: reads the records again, as far as they belong to it.
            position: where the read began.
            read: the next records of the source.

        Raises:
            AemonError: the source is at fault.
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
        there = read.leading(min(self._piece_from + self._pause, recent))
        there = max(there, min(LEAST_PIECE - self._piece_records, read.fetched))
        self._piece_records += there
        if there >= read.fetched:
            return read, False
        self.behind = True
        return reader.after(position, there) if there > 0 else None, True

    def judged(self, records: int, mark: Watermark | None) -> None:
        """Note how far a run has come.

        Args:
            records: that were judged.
            mark: where the monitor stands.
        """
        self._records += records
        self._until = mark.event_time if mark is not None else None

    @property
    def why_train(self) -> str:
        """What asks for a training; empty if nothing does, or a detector is on trial already."""
        if not self.behind or self._on_trial or not self._is_due():
            return ""
        return f"schedule: a backlog was judged from {self._stretch}"

    @property
    def without_training(self) -> str:
        """What to say where nobody trains between steps; empty where that makes no difference."""
        if not self._is_due():
            return ""
        return f"one detector judged all from {self._stretch}: aemon run trains between"

    def _is_due(self) -> bool:
        """Whether a training would have come since the newest detector."""
        if self._since is None or self._until is None:
            return False
        enough = self._records >= max(LEAST_PIECE, LEARNED_SHARE * self._learned)
        recent = self._clock() - self._pause
        return enough and self._until - self._since >= self._pause and self._until < recent

    @property
    def _stretch(self) -> str:
        return f"{self._since:%Y-%m-%d %H:%M} to {self._until:%Y-%m-%d %H:%M}"

    @property
    def summary(self) -> str:
        """How far it was judged, in plain words."""
        until = f" up to {self._until:%Y-%m-%d %H:%M}" if self._until is not None else ""
        return f"a backlog is judged step by step,{until} so far"


def _first_and_newest(read: Read) -> tuple[datetime | None, datetime | None]:
    """Return the event times of the first record that has one, and of the newest."""
    times = read.times[~np.isnat(read.times)].astype("datetime64[us]")
    if not len(times):
        return None, None
    return times[0].item().replace(tzinfo=UTC), times.max().item().replace(tzinfo=UTC)
