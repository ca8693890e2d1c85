"""Judging one frame and committing what came of it; the run's tally counts only what was saved."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.detector import Detector
from aemon.detection.judgement import Judgement
from aemon.frame import Frame, naive_utc
from aemon.lifecycle.recent_records import RecentRecords
from aemon.lifecycle.trial import Shadow
from aemon.logs import Action, log
from aemon.monitoring.episode_tracker import EpisodeTracker, log_news
from aemon.monitoring.suppression import Suppression
from aemon.monitoring.verdict_rows import record_hashes, verdict_rows
from aemon.records import Job, Outcome, RunReport, Watermark
from aemon.run import Stop, Tally
from aemon.store.detectors import StoredDetector
from aemon.store.store import Mark, Row, Store
from aemon.store.verdicts import Saved, save_verdicts

if TYPE_CHECKING:
    from aemon.detection.drift.observed_history import ObservedHistory

MOST_TOLD = 20  # flagged records in the log, of one commit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """A detector at work for one run of one monitor."""

    monitor: str
    settings: MonitorSettings
    store: Store
    clock: Clock
    stored: StoredDetector
    detector: Detector
    tally: Tally
    stop: Stop
    hush: Suppression
    shadow: Shadow | None = None
    memory: RecentRecords | None = None
    reviewed: bool = False  # late records are looked for behind the watermark

    def read(self, frame: Frame, fetched: int, mark: Mark, to: Watermark) -> Mark:
        """Judge records that were read for the first time, and move the watermark behind them.

        Args:
            frame: the records.
            fetched: how many the source returned, those that cannot be judged included.
            mark: where the monitor stands.
            to: the watermark behind them.
        """
        late, too_late = self._lateness(frame, mark)
        dropped = int(too_late.sum())
        rejected = dict(frame.rejected)
        if dropped:
            frame, late = frame.take(~too_late), late[~too_late]
            rejected["too_late"] = dropped
        settled = None if self.reviewed else to

        def count(tally: Tally, saved: Saved) -> None:
            tally.records_read += fetched
            tally.records_too_late += dropped
            tally.rejected.update(rejected)
            unchanged = ~saved.fresh & ~saved.revised
            tally.rejected.update({"duplicate_key": int(unchanged.sum())})
            tally.newest_record = to.event_time

        return self._commit(frame, late, mark, to, settled, count, remembered=True)

    def review(self, frame: Frame, mark: Mark, *, again: bool = False) -> Mark:
        """Judge records found behind the watermark: late ones, corrected ones, or all `again`."""
        if mark.watermark is None:
            raise ValueError("there is nothing behind a watermark that is not there")

        def count(tally: Tally, saved: Saved) -> None:
            tally.records_read += int((saved.fresh | saved.revised).sum())
            tally.records_reviewed += int((~saved.fresh & ~saved.revised).sum())

        late = np.ones(len(frame), dtype=bool)
        return self._commit(frame, late, mark, mark.watermark, None, count, again=again)

    def _commit(
        self,
        frame: Frame,
        late: npt.NDArray[np.bool_],
        mark: Mark,
        to: Watermark,
        settled: Watermark | None,
        count: Callable[[Tally, Saved], None],
        *,
        again: bool = False,
        remembered: bool = False,
    ) -> Mark:
        raw = self.detector.judge(frame)
        anomalous = np.flatnonzero(raw.anomalous)
        units = self.settings.columns.units
        explanations = self.detector.explain(frame.take(anomalous), units) if len(anomalous) else []
        judgement = self.hush(frame, raw, explanations)
        rows = verdict_rows(
            frame,
            judgement,
            explanations,
            stored=self.stored,
            hashes=record_hashes(frame.values),
            late=late,
            scored_at=self.clock(),
        )
        counted = self.tally.copy()
        counted.detector_id, counted.threshold_id = self.stored.id, self.stored.threshold_id

        def ledger(saved: Saved) -> RunReport:
            _count_verdicts(counted, judgement, late, saved)
            if self.settings.entity_metrics:
                _count_by_entity(counted, frame, judgement)
            count(counted, saved)
            times = (counted.started_at or self.clock(), self.clock())
            return counted.report(self.monitor, Job.SCORE, Outcome.RUNNING, "", times)

        representative = ~raw.absent & ~self.hush.apart(frame)
        tried = self.shadow.judge(frame) if self.shadow is not None else None
        telling = EpisodeTracker(
            monitor=self.monitor,
            frame=frame,
            judgement=judgement,
            explanations=explanations,
            settings=self.settings.episodes,
            behind=bool(len(late) and late.all()),
            tally=counted,
        )

        memory = self.memory if remembered else None
        remember: list[tuple[ObservedHistory, npt.NDArray[np.bool_]]] = []

        def beside(connection: sa.Connection, saved: Saved) -> Mapping[int, int]:
            if self.shadow is not None:
                self.shadow.write(
                    connection, frame, raw, tried, saved.fresh & representative, saved.at
                )
            if memory is not None:
                lived = saved.fresh & representative
                remember.append((memory.after(frame, raw, lived), lived))
                memory.write(connection, remember[0][0], saved)
            return telling.write(connection, saved)

        began = monotonic()
        saved = save_verdicts(
            self.store,
            self.monitor,
            rows,
            mark,
            to,
            ledger,
            episodes=beside,
            before_commit=self.stop.check,
            run_id=counted.run_id,
            settled=settled,
            again=again,
            # What late records are compared with is kept until they can no longer come.
            keep=1.0 if self.reviewed else self.settings.keep_share,
        )
        counted.run_id = saved.run_id
        counted.store_seconds.append(monotonic() - began)
        self.tally.adopt(counted)
        if memory is not None:
            life, rows_seen = remember[0]
            memory.adopt(life, frame, raw, rows_seen)
        self._tell(rows.anomalies, np.flatnonzero(saved.flagged[anomalous]))
        log_news(self.monitor, telling.news)
        return saved.mark

    def _lateness(
        self, frame: Frame, mark: Mark
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which of N records are older than one read before, and which by more than is allowed.

        Where late records are looked for, the end of that is the one line for both: a record is
        either found or too late, however it came to be read.
        """
        if not len(frame):
            return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
        newest = np.maximum.accumulate(frame.times)
        if mark.watermark is not None and mark.watermark.event_time is not None:
            newest = np.maximum(newest, naive_utc(mark.watermark.event_time))
        late = frame.times < newest
        if self.settings.lateness is None:
            return late, np.zeros(len(frame), dtype=bool)
        if not self.reviewed:
            return late, newest - frame.times > np.timedelta64(self.settings.lateness)
        return late, older_than_settled(frame, mark)

    def _tell(self, anomalies: Sequence[Row], told: npt.NDArray[np.intp]) -> None:
        """Log the newly flagged records, the first of many."""
        for place in told[:MOST_TOLD]:
            row = anomalies[place]
            whose = {"entity": row["entity"]} if row["entity"] else {}
            log(
                logger,
                logging.WARNING,
                Action.ANOMALY,
                row["reason"],
                monitor=self.monitor,
                **whose,
                record=row["record_key"],
                severity=row["severity"],
                event_time=f"{row['event_time']:%Y-%m-%dT%H:%M:%SZ}",
            )
        if len(told) > MOST_TOLD:
            more = f"{len(told) - MOST_TOLD} more flagged records"
            log(logger, logging.WARNING, Action.ANOMALY, more, monitor=self.monitor)


def _count_verdicts(
    tally: Tally, judgement: Judgement, late: npt.NDArray[np.bool_], saved: Saved
) -> None:
    flagged = np.flatnonzero(saved.flagged)
    tally.records_scored += int(saved.fresh.sum())
    tally.records_revised += int(saved.revised.sum())
    tally.records_absent += int((judgement.absent & saved.fresh).sum())
    tally.records_late += int((late & saved.fresh).sum())
    tally.cells_imputed += judgement.cells_imputed
    tally.exceedances += judgement.exceedances[flagged].tolist()
    tally.critical += int(judgement.critical[flagged].sum())
    tally.suppressed.update(
        why.value for row, why in judgement.quiet.items() if saved.suppressed[row]
    )
    present = judgement.exceedances[~judgement.absent]
    if len(present):
        tally.largest_exceedance = max(tally.largest_exceedance or 0.0, float(present.max()))


def _count_by_entity(tally: Tally, frame: Frame, judgement: Judgement) -> None:
    """Each entity's largest exceedance."""
    there = np.flatnonzero(~judgement.absent)
    exceedances = judgement.exceedances[there].tolist()
    for row, exceedance in zip(there.tolist(), exceedances, strict=True):
        entity = frame.entities[row]
        tally.by_entity[entity] = max(tally.by_entity.get(entity, 0.0), exceedance)


def older_than_settled(frame: Frame, mark: Mark) -> npt.NDArray[np.bool_]:
    """Which of N records are so old that no record of their time is looked for any more."""
    if mark.settled is None or mark.settled.event_time is None:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(frame.times < naive_utc(mark.settled.event_time), dtype=bool)
