"""One monitor's work: read new records, judge them, commit verdicts and watermark together."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.detector import Detector
from aemon.errors import AemonError
from aemon.frame import Frame, check_frame
from aemon.records import Job, Outcome, RunReport, Watermark
from aemon.service.history import HistorySource
from aemon.service.rows import verdict_rows
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store.artifacts import unpack
from aemon.store.store import Mark, Store, StoredDetector, VerdictRows


class Stop:
    """Asks a run to end between two commits, and tells it not to write any more."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask the run to end, for a reason it will report."""
        self.reason = reason
        self._event.set()

    def asked(self) -> bool:
        """Whether the run should end."""
        return self._event.is_set()


class AbandonedError(AemonError):
    """The run was asked to stop; what it had in hand was not written."""


@dataclass(kw_only=True)
class Tally:
    """What a run has counted so far; it survives the run's failure."""

    records_read: int = 0
    records_scored: int = 0
    records_late: int = 0
    cells_imputed: int = 0
    critical: int = 0
    exceedances: list[float] = field(default_factory=list)
    largest_exceedance: float | None = None
    newest_record: datetime | None = None
    records_wanted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def report(
        self,
        monitor: str,
        job: Job,
        outcome: Outcome,
        reason: str,
        times: tuple[datetime, datetime],
    ) -> RunReport:
        """The finished run."""
        return RunReport(
            monitor=monitor,
            job=job,
            outcome=outcome,
            reason=reason,
            started_at=times[0],
            finished_at=times[1],
            records_read=self.records_read,
            records_scored=self.records_scored,
            records_late=self.records_late,
            rejected=tuple(sorted((+self.rejected).items())),
            cells_imputed=self.cells_imputed,
            exceedances=tuple(self.exceedances),
            critical=self.critical,
            largest_exceedance=self.largest_exceedance,
            newest_record=self.newest_record,
            records_wanted=self.records_wanted,
        )


class Work(Protocol):
    """One execution of a job: counts into a tally and says how it ended."""

    def __call__(self, tally: Tally, stop: Stop) -> tuple[Outcome, str]:
        """Do the work; errors are the runner's to catch."""


class Monitor:
    """A configured unit that is watched.

    Holds the open source and the detector in use between runs. One run at a time.
    """

    def __init__(self, name: str, settings: MonitorSettings, store: Store, clock: Clock) -> None:
        self.name = name
        self.settings = settings
        self._store = store
        self._clock = clock
        self._source: Source | None = None
        self._in_use: tuple[StoredDetector, Detector] | None = None

    def score_once(self, tally: Tally, stop: Stop) -> tuple[Outcome, str]:
        """Judge every record the source has after the watermark, a chunk a commit.

        Returns:
            How it ended: collecting or skipped while there is no detector.

        Raises:
            AemonError: the source, the records or the store are at fault; what was committed
                before stays, the rest is judged by the next run.
        """
        source = self._open_source()
        if isinstance(source, HistorySource):
            source.drain()
        in_use = self.detector()
        if in_use is None:
            return self._cold_start(source, tally)
        stored, detector = in_use
        mark = self._store.mark(self.name)
        more = True
        while more:
            fetched = source.fetch(mark.watermark, self.settings.chunk_records)
            more = fetched.more
            if fetched.watermark is None or fetched.watermark == mark.watermark:
                break
            frame = check_frame(fetched.table, source.roles)
            if stop.asked():
                raise AbandonedError(stop.reason)
            mark = self._judge(frame, stored, detector, mark, fetched.watermark, tally, stop)
            tally.records_read += len(fetched.table)
            if more and stop.asked():
                return Outcome.ABANDONED, f"{stop.reason}: the rest is judged by the next run"
        if tally.records_read == 0:
            return Outcome.NO_DATA, "no new records"
        return Outcome.OK, ""

    def _cold_start(self, source: Source, tally: Tally) -> tuple[Outcome, str]:
        wanted = self.settings.min_records
        there = source.count(wanted)
        tally.records_read = there
        tally.records_wanted = wanted
        if there < wanted:
            return Outcome.COLLECTING, f"collecting {there} of {wanted} records"
        return Outcome.COLLECTING, f"{wanted} records are there: the first training comes next"

    def _judge(
        self,
        frame: Frame,
        stored: StoredDetector,
        detector: Detector,
        mark: Mark,
        to: Watermark,
        tally: Tally,
        stop: Stop,
    ) -> Mark:
        judgement = detector.judge(frame)
        flagged = np.flatnonzero(judgement.anomalous)
        explanations = detector.explain(frame.take(flagged)) if len(flagged) else []
        late = _late(frame, mark.watermark)
        rows = (
            verdict_rows(
                frame,
                judgement,
                explanations,
                stored=stored,
                late=late,
                scored_at=self._clock(),
            )
            if len(frame)
            else VerdictRows(scores=())
        )
        if stop.asked():
            # A run that timed out may come back much later: it must not write then.
            raise AbandonedError(stop.reason)
        moved, known = self._store.save_verdicts(self.name, rows, mark, to)
        tally.rejected.update(frame.rejected)
        tally.rejected.update({"duplicate_key": known})
        tally.records_scored += len(frame) - known
        tally.records_late += int(late.sum())
        tally.cells_imputed += judgement.cells_imputed
        tally.exceedances += judgement.exceedances[flagged].tolist()
        tally.critical += int(judgement.critical[flagged].sum())
        present = judgement.exceedances[~judgement.absent]
        if len(present):
            tally.largest_exceedance = max(tally.largest_exceedance or 0.0, float(present.max()))
        tally.newest_record = to.event_time
        return moved

    def detector(self) -> tuple[StoredDetector, Detector] | None:
        """The active detector, loaded anew only when it has changed."""
        stored = self._store.active_detector(self.name)
        if stored is None:
            return None
        if self._in_use is None or self._in_use[0] != stored:
            content = self._store.artifact(stored.artifact_sha256)
            arrays, metadata = unpack(content, stored.artifact_sha256)
            self._in_use = (stored, Detector.from_state(arrays, metadata))
        return self._in_use

    @property
    def in_use(self) -> StoredDetector | None:
        """The detector that judged last, if one has."""
        return self._in_use[0] if self._in_use else None

    def outdated(self, now: datetime) -> bool:
        """Whether the detector in use is due to be replaced: by age, or by changed settings."""
        if self.in_use is None:
            return False
        aged = now - self.in_use.trained_at >= self.settings.train_every
        return aged or self.in_use.settings_hash != self.settings.learning.fingerprint

    def _open_source(self) -> Source:
        if self._source is None:
            source = open_source(self.settings.source, clock=self._clock)
            if not source.replayable:
                keep = max(self.settings.max_training_records, self.settings.min_records)
                source = HistorySource(source, self._store, self.name, keep)
            self._source = source
        return self._source

    def replace_source(self) -> None:
        """Forget a source that hangs; the next run opens a new one."""
        self._source = None

    def close(self) -> None:
        """Let go of the source."""
        if self._source is not None:
            self._source.close()
            self._source = None


def _late(frame: Frame, after: Watermark | None) -> npt.NDArray[np.bool_]:
    """(N,) which records are older than one read before them."""
    if not len(frame):
        return np.zeros(0, dtype=bool)
    newest = np.maximum.accumulate(frame.times)
    if after is not None and after.event_time is not None:
        seen = np.datetime64(after.event_time.replace(tzinfo=None), "us")
        newest = np.maximum(newest, seen)
    return frame.times < newest
