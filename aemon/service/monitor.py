"""One monitor's work: read new records, judge them, commit verdicts and watermark together."""

import time
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from aemon.clock import Clock
from aemon.config.cron import is_due
from aemon.config.schema import MonitorSettings, identity
from aemon.detection.detector import Detector
from aemon.errors import SourceConfigError
from aemon.frame import check_frame
from aemon.records import Outcome
from aemon.service.cold_start import wanted_for, wanted_records
from aemon.service.history import HistorySource
from aemon.service.judging import Judge
from aemon.service.quiet import Hush
from aemon.service.review import Review, judge_again
from aemon.service.run import Stop, Tally
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store.artifacts import unpack
from aemon.store.detectors import StoredDetector, active_detector, artifact
from aemon.store.episodes import count_open
from aemon.store.snoozes import snoozes_of
from aemon.store.store import Mark, Store

ENOUGH_SHARE = 0.5
"""Of its timeout a run takes this much, then leaves a backlog's rest to the next run."""

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
        self._review = Review()
        self.wanted = wanted_for(0, settings)  # records that end its cold start, as far as known

    def score_once(self, tally: Tally, stop: Stop) -> tuple[Outcome, str]:
        """Judge every record the source has after the watermark, a chunk a commit.

        Then, with `lateness`, what came in behind it.

        Returns:
            How it ended: collecting or skipped while there is no detector.

        Raises:
            AemonError: the source, the records or the store are at fault; what was committed
                before stays, the rest is judged by the next run.
        """
        source = self._open_source()
        if isinstance(source, HistorySource):
            source.drain()
        judge = self._judge(source, tally, stop)
        if judge is None:
            return self._cold_start(source, tally)
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
            mark = judge.read(frame, len(fetched.table), mark, fetched.watermark)
            if more and stop.asked():
                return Outcome.ABANDONED, f"{stop.reason}: {_REST}"
            if more and time.monotonic() > enough:
                tally.unfinished = True
                return Outcome.OK, _REST
        if self._review.due(judge):
            self._review.look(source, judge, mark, enough)
        waits = f"{waiting} wait: their time is unreadable or too far ahead" if waiting else ""
        if tally.records_read == 0:
            return Outcome.NO_DATA, f"no new records; {waits}" if waits else "no new records"
        return Outcome.OK, waits

    def score_again(
        self, tally: Tally, stop: Stop, *, since: datetime | None = None
    ) -> tuple[Outcome, str]:
        """Judge known records again, with the detector in use; changed verdicts are new revisions.

        Raises:
            AemonError: as `score_once`.
        """
        source = self._open_source()
        judge = self._judge(source, tally, stop)
        if judge is None:
            return self._cold_start(source, tally)
        self._mark()
        judge_again(source, judge, since)
        told = f"{tally.records_revised} verdicts are others now, {tally.records_reviewed} the same"
        return Outcome.OK, told

    def _judge(self, source: Source, tally: Tally, stop: Stop) -> Judge | None:
        in_use = self.detector()
        if in_use is None:
            return None
        with self._store.reading() as connection:
            snoozes = snoozes_of(connection, self.name)
            tally.episodes_open = count_open(connection, self.name)
        quiet = self.settings.quiet
        hush = Hush(monitor=self.name, settings=quiet, snoozes=snoozes, store=self._store)
        return Judge(
            monitor=self.name,
            settings=self.settings,
            store=self._store,
            clock=self._clock,
            stored=in_use[0],
            detector=in_use[1],
            tally=tally,
            stop=stop,
            hush=hush,
            reviewed=self.settings.lateness is not None and not source.in_order_of_arrival,
        )

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
        wanted = self.wanted = wanted_records(self.settings, source)
        there = source.count(wanted)
        tally.records_read = there
        tally.records_wanted = wanted
        if there < wanted:
            return Outcome.COLLECTING, f"collecting {there} of {wanted} records"
        return Outcome.COLLECTING, f"{wanted} records are there: the first training comes next"

    def detector(self) -> tuple[StoredDetector, Detector] | None:
        """The active detector, loaded anew only when it has changed."""
        stored = active_detector(self._store, self.name)
        if stored is None:
            return None
        if self._in_use is None or self._in_use[0] != stored:
            content = artifact(self._store, stored.artifact_sha256)
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
        zone = ZoneInfo(self.settings.timezone)
        aged = is_due(self.settings.train_every, self.in_use.trained_at, now, zone)
        return aged or self.in_use.settings_hash != self.settings.learning.fingerprint

    def _open_source(self) -> Source:
        if self._source is None:
            source = open_source(self.settings.source, clock=self._clock)
            if not source.replayable:
                keep = max(self.settings.max_training_records, self.settings.min_records or 0)
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
