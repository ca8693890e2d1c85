"""Judges frames of records, and commits the results of each frame in one transaction."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Mask, Rows
from aemon.detection.judgement import Judging
from aemon.frame import Frame
from aemon.lifecycle.recent_records import RecentRecords
from aemon.lifecycle.trial import Shadow
from aemon.logs import Action, log
from aemon.monitoring.counting import counts_of
from aemon.monitoring.episode_tracker import EpisodeTracker, log_news
from aemon.monitoring.judged import Judged
from aemon.monitoring.lateness import lateness_of
from aemon.monitoring.suppression import Suppression
from aemon.monitoring.verdict_rows import verdict_rows
from aemon.reading.reader import Read
from aemon.reading.set_aside import set_aside_as_late
from aemon.records import Job, Outcome, Watermark
from aemon.run import Run, Stop
from aemon.run_report import RunCounts, RunReport
from aemon.store.detectors import StoredDetector
from aemon.store.inbox.rejected_records import Rejected, keep_rejected
from aemon.store.ledger import note_progress
from aemon.store.store import Mark, Row, Store
from aemon.store.verdicts import compare_verdicts, save_verdicts

MOST_LOGGED = 20  # flagged records that the log names for one commit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """A detector, with the settings, store and state that one run needs to judge records."""

    monitor: str
    settings: MonitorSettings
    store: Store
    clock: Clock
    stored: StoredDetector
    detector: Judging
    run: Run
    stop: Stop
    suppression: Suppression
    shadow: Shadow | None = None
    memory: RecentRecords | None = None
    reviewed: bool = False  # whether late records before the watermark are looked for
    job: Job = Job.SCORE

    def read(self, read: Read, mark: Mark, to: Watermark) -> Mark:
        """Judge records that were read for the first time, and move the watermark to their end.

        Args:
            read: the records, with counts of records that cannot be judged.
            mark: the monitor's watermark before the records.
            to: the watermark after the records.

        Returns:
            The monitor's new mark.

        Raises:
            StaleWatermarkError: another writer has judged the records.
            AbandonedError: the run was asked to end; nothing was written.
            AemonError: the records do not fit the detector, or the store fails.
        """
        late, too_late = lateness_of(
            read.frame, mark, self.settings.lateness, reviewed=self.reviewed
        )
        dropped = int(too_late.sum())
        counts = RunCounts(
            records_read=read.fetched,
            records_too_late=dropped,
            keys_given_up=read.given_up,
            rejected=Counter(read.frame.rejected) + Counter(too_late=dropped),
            newest_record=to.event_time,
        )
        frame = read.frame.take(~too_late) if dropped else read.frame
        judged = self._judge(frame, late[~too_late], behind=False)
        aside = read.set_aside
        if dropped:
            aside += set_aside_as_late(read.frame.take(too_late), read.roles)
        return self._commit(judged, mark, to, counts, aside=aside)

    def review(self, frame: Frame, mark: Mark, *, again: bool = False) -> Mark:
        """Judge late or corrected records before the watermark; with `again`, all known records.

        Raises:
            AemonError: the records do not fit the detector, or the store fails.
        """
        if mark.watermark is None:
            raise ValueError("without a watermark there are no records before it")
        judged = self._judge(frame, frame.to_judge, behind=True)
        return self._commit(judged, mark, mark.watermark, RunCounts(), again=again)

    def look_back(self, frame: Frame, mark: Mark) -> Mark:
        """Judge unusual records of the history that were left out of training.

        Raises:
            AemonError: the records do not fit the detector, or the store fails.
        """
        if mark.watermark is None:
            raise ValueError("without a watermark there is no history")
        judged = self._judge(frame, np.zeros(len(frame), dtype=bool), behind=True)
        return self._commit(replace(judged, history=True), mark, mark.watermark, RunCounts())

    def _judge(self, frame: Frame, late: Mask, *, behind: bool) -> Judged:
        """Judge and explain the records of a frame, without writing the results."""
        memory = None if behind or frame.context is not None else self.memory
        looked = self.detector.look(frame, memory.past if memory is not None else None)
        raw = looked.judgement
        explanations = looked.explain(np.flatnonzero(raw.anomalous), self.settings.columns.units)
        calendar = self.suppression.calendar(looked.frame)
        return Judged(
            frame=looked.frame,
            late=late[frame.to_judge],
            behind=behind,
            raw=raw,
            judgement=self.suppression.apply(looked.frame, raw, explanations, calendar),
            explanations=explanations,
            tried=self.shadow.judge(frame, behind=behind) if self.shadow is not None else None,
            representative=~raw.unjudged & ~calendar.quiet,
        )

    def _commit(
        self,
        judged: Judged,
        mark: Mark,
        to: Watermark,
        counts: RunCounts,
        *,
        again: bool = False,
        aside: Sequence[Rejected] = (),
    ) -> Mark:
        """Write all results of judged records in one transaction, then count them in the run.

        Raises:
            StaleWatermarkError: another writer has judged the records.
            AbandonedError: the run was asked to end; nothing was written.
            StoreError: the database fails.
        """
        rows = verdict_rows(judged, self.stored, self.clock())
        settled = None if judged.behind or self.reviewed else to
        memory = None if judged.behind else self.memory
        began = monotonic()
        with self.store.commit(self.monitor, mark, to, settled) as commit:
            saved = compare_verdicts(commit, rows, again=again)
            counts += counts_of(judged, saved, by_entity=bool(self.settings.entity_metrics))
            run_id = note_progress(commit.connection, self.run.id, self._progress(counts))
            lived = saved.fresh & judged.representative
            if self.shadow is not None:
                self.shadow.record(commit, judged.frame, judged.raw, judged.tried, lived)
            if memory is not None:
                history = memory.after(judged.frame, judged.raw, lived)
                traffic = memory.traffic.after(judged.frame.take(saved.fresh))
                memory.record(
                    commit.connection, history, judged.raw.past, traffic, self.store.now()
                )
            tracker = EpisodeTracker(monitor=self.monitor, settings=self.settings.episodes)
            episodes = tracker.advance(commit, saved, judged)
            save_verdicts(
                commit, rows, saved, run_id=run_id, episodes=episodes.members, keep=self._keep
            )
            keep_rejected(commit.connection, self.store, self.monitor, aside)
            self.stop.check()  # the last step: a run that was asked to end writes nothing
        self._adopt(counts + episodes.counts + RunCounts(store_seconds=(monotonic() - began,)))
        self.run.id = run_id
        if self.shadow is not None and not judged.behind:
            self.shadow.adopt(judged.tried)
        if memory is not None:
            memory.adopt(history, judged.frame, judged.raw, lived)
            memory.traffic.adopt(traffic)
        over = np.flatnonzero(judged.judgement.over_threshold)
        self._log(rows.anomalies, np.flatnonzero(saved.flagged[over]))
        log_news(self.monitor, episodes.news)
        return commit.mark

    @property
    def _keep(self) -> float:
        """Share of normal scores to write.

        While late records are looked for, all scores are written, because a review recognises
        known records by their stored scores.
        """
        return 1.0 if self.reviewed else self.settings.keep_share

    def _progress(self, counts: RunCounts) -> RunReport:
        """Return the report of the run, including the counts of the present commit."""
        run = replace(
            self.run,
            counts=self.run.counts + counts,
            detector_id=self.stored.id,
            threshold_id=self.stored.threshold_id,
        )
        times = (run.started_at or self.clock(), self.clock())
        return run.report(self.monitor, self.job, Outcome.RUNNING, "", times)

    def _adopt(self, counts: RunCounts) -> None:
        """Add committed counts to the run."""
        self.run.counts += counts
        self.run.detector_id = self.stored.id
        self.run.threshold_id = self.stored.threshold_id

    def _log(self, anomalies: Sequence[Row], flagged: Rows) -> None:
        """Log the newly flagged records, up to `MOST_LOGGED`."""
        for place in flagged[:MOST_LOGGED]:
            row = anomalies[place]
            entity = {"entity": row["entity"]} if row["entity"] else {}
            log(
                logger,
                logging.WARNING,
                Action.ANOMALY,
                row["reason"],
                monitor=self.monitor,
                **entity,
                record=row["record_key"],
                severity=row["severity"],
                event_time=f"{row['event_time']:%Y-%m-%dT%H:%M:%SZ}",
            )
        if len(flagged) > MOST_LOGGED:
            more = f"{len(flagged) - MOST_LOGGED} more flagged records"
            log(logger, logging.WARNING, Action.ANOMALY, more, monitor=self.monitor)
