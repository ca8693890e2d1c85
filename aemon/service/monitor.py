"""One monitor's work: read new records, judge them, commit verdicts and watermark together."""

import logging
import time
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings, identity
from aemon.detection.detector import Detector
from aemon.errors import SourceConfigError
from aemon.frame import Frame, check_frame
from aemon.records import Outcome, Watermark
from aemon.service.history import HistorySource
from aemon.service.logs import log
from aemon.service.rows import verdict_rows
from aemon.service.run import Stop, Tally
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store.artifacts import unpack
from aemon.store.store import Mark, Store, StoredDetector, VerdictRows

ENOUGH_SHARE = 0.5
"""Of its timeout a run takes this much, then leaves a backlog's rest to the next run."""

MOST_TOLD = 20  # flagged records in the log, of one commit

logger = logging.getLogger(__name__)

_REST = "the rest is judged by the next run"


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
        self._unreadable = False

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
        mark = self._mark()
        enough = time.monotonic() + ENOUGH_SHARE * self.settings.score_timeout.total_seconds()
        more, waiting = True, 0
        while more:
            fetched = source.fetch(mark.watermark, self.settings.chunk_records)
            more, waiting = fetched.more, fetched.waiting
            if fetched.watermark is None or fetched.watermark == mark.watermark:
                break
            frame = check_frame(fetched.table, source.roles)
            stop.check()
            mark = self._judge(frame, stored, detector, mark, fetched.watermark, tally, stop)
            tally.records_read += len(fetched.table)
            if more and stop.asked():
                return Outcome.ABANDONED, f"{stop.reason}: {_REST}"
            if more and time.monotonic() > enough:
                tally.unfinished = True
                return Outcome.OK, _REST
        waits = f"{waiting} wait: their time is unreadable or too far ahead" if waiting else ""
        if tally.records_read == 0:
            return Outcome.NO_DATA, f"no new records; {waits}" if waits else "no new records"
        return Outcome.OK, waits

    def _mark(self) -> Mark:
        """How far the source has been read.

        Raises:
            SourceConfigError: it was another source that was read so far.
        """
        mark = self._store.mark(self.name)
        now = identity(self.settings.source)
        if mark.generation and mark.source != now:
            raise SourceConfigError(
                f"{self.name} has read another source so far: {mark.source}",
                todo="give the monitor a new name, so that it begins anew; its results stay",
            )
        return replace(mark, source=now)

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
        units = self.settings.columns.units
        explanations = detector.explain(frame.take(flagged), units) if len(flagged) else []
        late = _late(frame, mark.watermark)
        rows = verdict_rows(
            frame, judgement, explanations, stored=stored, late=late, scored_at=self._clock()
        )
        moved, known = self._store.save_verdicts(self.name, rows, mark, to, stop.check)
        fresh = _not_in(known, frame)
        self._tell(rows, known)
        flagged = np.flatnonzero(judgement.anomalous & fresh)
        tally.rejected.update(frame.rejected)
        tally.rejected.update({"duplicate_key": len(known)})
        tally.records_scored += int(fresh.sum())
        tally.records_absent += int((judgement.absent & fresh).sum())
        tally.records_late += int((late & fresh).sum())
        tally.cells_imputed += judgement.cells_imputed
        tally.exceedances += judgement.exceedances[flagged].tolist()
        tally.critical += int(judgement.critical[flagged].sum())
        present = judgement.exceedances[~judgement.absent]
        if len(present):
            tally.largest_exceedance = max(tally.largest_exceedance or 0.0, float(present.max()))
        tally.newest_record = to.event_time
        return moved

    def _tell(self, rows: VerdictRows, known: set[tuple[str, str]]) -> None:
        """Log the flagged records, the first of many."""
        told = [row for row in rows.anomalies if (row["entity"], row["record_key"]) not in known]
        for row in told[:MOST_TOLD]:
            whose = {"entity": row["entity"]} if row["entity"] else {}
            log(
                logger,
                logging.WARNING,
                "anomaly",
                row["reason"],
                monitor=self.name,
                **whose,
                record=row["record_key"],
                severity=row["severity"],
                event_time=f"{row['event_time']:%Y-%m-%dT%H:%M:%SZ}",
            )
        if len(told) > MOST_TOLD:
            more = f"{len(told) - MOST_TOLD} more flagged records"
            log(logger, logging.WARNING, "anomaly", more, monitor=self.name)

    def detector(self) -> tuple[StoredDetector, Detector] | None:
        """The active detector, loaded anew only when it has changed."""
        stored = self._store.active_detector(self.name)
        if stored is None:
            return None
        if self._in_use is None or self._in_use[0] != stored:
            content = self._store.artifact(stored.artifact_sha256)
            self._unreadable = True
            arrays, metadata = unpack(content, stored.artifact_sha256)
            self._in_use = (stored, Detector.from_state(arrays, metadata))
            self._unreadable = False
        return self._in_use

    @property
    def in_use(self) -> StoredDetector | None:
        """The detector that judged last, if one has."""
        return self._in_use[0] if self._in_use else None

    def outdated(self, now: datetime) -> bool:
        """Whether a detector is due to be replaced: unreadable, by age, or by changed settings."""
        if self._unreadable:
            return True
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
        """Forget a source that hangs; the next run opens a new one.

        One that cannot be read twice stays: it holds records nobody else has.
        """
        if not isinstance(self._source, HistorySource):
            self._source = None

    def close(self) -> None:
        """Let go of the source."""
        if self._source is not None:
            self._source.close()
            self._source = None


def _not_in(known: set[tuple[str, str]], frame: Frame) -> npt.NDArray[np.bool_]:
    """(N,) which records are not among the known ones."""
    if not known:
        return np.ones(len(frame), dtype=bool)
    pairs = zip(frame.entities, frame.keys, strict=True)
    return np.array([pair not in known for pair in pairs], dtype=bool)


def _late(frame: Frame, after: Watermark | None) -> npt.NDArray[np.bool_]:
    """(N,) which records are older than one read before them."""
    if not len(frame):
        return np.zeros(0, dtype=bool)
    newest = np.maximum.accumulate(frame.times)
    if after is not None and after.event_time is not None:
        seen = np.datetime64(after.event_time.replace(tzinfo=None), "us")
        newest = np.maximum(newest, seen)
    return frame.times < newest
