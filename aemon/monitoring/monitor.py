"""The work of one monitor: read new records, judge them, commit verdicts and watermark."""

import time
from dataclasses import replace
from datetime import datetime

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import identity
from aemon.errors import SourceConfigError
from aemon.lifecycle.active_detector import ActiveDetector
from aemon.lifecycle.cold_start import first_training, needed_for, needed_records
from aemon.lifecycle.feedback_excuses import excuses_from
from aemon.monitoring.backlog import Backlog
from aemon.monitoring.hindsight_run import look_back
from aemon.monitoring.judging import Judge
from aemon.monitoring.restoring_watermark import with_valid_positions
from aemon.monitoring.review import Review, judge_again
from aemon.monitoring.suppression import Suppression
from aemon.reading.monitor_source import open_inbox, open_records
from aemon.reading.reader import Read, Reader
from aemon.reading.unreadable import Unreadable, joined
from aemon.records import Outcome, Watermark
from aemon.run import Run, Stop
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import check_apart
from aemon.store.detectors import StoredDetector
from aemon.store.episodes import count_open
from aemon.store.feedback import records_with_feedback
from aemon.store.fences import Fence, fenced
from aemon.store.snoozes import snoozes_of
from aemon.store.store import Mark, Store

ENOUGH_SHARE = 0.5
"""A run stops after this share of its timeout; the next run judges the remaining records."""

MOST_LOOKED_AT = 1000
"""Number of first records that a monitor without a detector reads to check its source."""

MOST_ENTITIES = 10
"""A review reads the context rows of this number of entities before its first record."""

_REST = "the next run judges the rest"


class Monitor:
    """A configured monitor, with its source and its detector.

    The source stays open and the detector stays loaded between runs. Only one run at a time may
    use the object.
    """

    def __init__(
        self,
        name: str,
        settings: MonitorSettings,
        store: Store,
        clock: Clock,
        fence: Fence | None = None,
        *,
        in_steps: bool = False,
    ) -> None:
        self.name = name
        self.settings = settings
        self.fence = fence  # fence of the monitor's lease; None without a lease
        self._store = fenced(store, fence)
        self._clock = clock
        self._source: Replayable | None = None
        self._inbox = open_inbox(name, settings, self._store, clock)  # None without a stream
        self._active_detector = ActiveDetector(name, settings, self._store, clock)
        self._busy = self._retired = False
        self._review = Review()
        self._backlog = Backlog(settings, clock)
        self._in_steps = in_steps  # whether trainings can run between two steps of a backlog
        self._looked_back_by: int | None = None  # id of the detector that judged the history
        self.wanted = needed_for(0, settings)  # records needed for the first training, if known

    def score_once(self, run: Run, stop: Stop) -> tuple[Outcome, str]:
        """Do one scoring run; if the monitor is retired, close its source after the run."""
        self._busy = True
        try:
            return self._score(run, stop)
        finally:
            self._busy = False
            if self._retired:
                self.close()

    def _score(self, run: Run, stop: Stop) -> tuple[Outcome, str]:
        """Judge every record after the watermark, one commit for each chunk.

        Then judge late records, if `lateness` is set or keys do not show the order of arrival.

        Returns:
            The outcome and its reason; the outcome is `collecting` while there is no detector.

        Raises:
            AemonError: the source, the records or the store fail; earlier commits stay, and the
                next run judges the remaining records.
        """
        source = self._open_source()
        unkept = self._collect(run)
        judge = self._judge(run, stop)
        if judge is None:
            return self._cold_start(source, run)
        run.count(records_read=unkept)
        mark = self._mark(source)
        on_trial = judge.shadow.stored.id if judge.shadow is not None else None
        self._backlog.begin(judge.stored, on_trial, mark.watermark)
        if mark.watermark is not None:  # the time is known after a restart, too
            run.count(newest_record=mark.watermark.event_time)
        mark = self._look_back(judge, source, mark)
        enough = time.monotonic() + ENOUGH_SHARE * self.settings.score_timeout.total_seconds()
        seen = Unreadable()
        mark, waiting, rest = self._judge_new(judge, Reader(source), mark, seen, enough)
        if stop.asked() and rest:
            return Outcome.ABANDONED, f"{stop.reason}: {rest}"
        if not rest:
            judge = replace(judge, reviewed=self._looks_back(source, mark.watermark))
            if self._review.due(judge):
                context_rows = MOST_ENTITIES * judge.detector.context_rows
                reader = Reader(source, context_rows=context_rows)
                self._review.look(reader, judge, mark, enough)
        self._active_detector.look_after(run)
        waits = f"{waiting} records wait: their time is unreadable or too far ahead"
        waits = waits if waiting else ""
        if run.counts.records_read == 0:
            return Outcome.NO_DATA, joined(("no new records", waits, *seen.warnings))
        refusal = seen.refusal()
        if refusal is not None:
            raise refusal
        run.count(unfinished=bool(rest))
        alone = "" if self._in_steps else self._backlog.without_training
        return Outcome.OK, joined(
            (rest, alone, waits, *seen.warnings, *seen.summary, *run.counts.summary)
        )

    def _judge_new(
        self, judge: Judge, reader: Reader, mark: Mark, seen: Unreadable, enough: float
    ) -> tuple[Mark, int, str]:
        """Judge the records after the watermark, one commit for each chunk.

        Args:
            judge: judge with the active detector.
            reader: reads the records.
            mark: the monitor's watermark.
            seen: collects the records and values that could not be read.
            enough: monotonic time after which the next run judges the remaining records.

        Returns:
            The new mark; the number of waiting records; text about unjudged records, or "".
        """
        more, waiting, over = True, 0, False
        while more:
            read: Read | None = reader.after(mark.watermark, self.settings.chunk_records)
            if read is not None and self._in_steps:
                read, over = self._backlog.piece(reader, mark.watermark, read)
            if read is None:
                return mark, waiting, self._backlog.summary
            more, waiting = read.more or over, read.waiting
            seen.add(read)
            if read.watermark is None or read.watermark == mark.watermark:
                break
            judge.stop.check()
            reviewed = self._looks_back(reader.source, read.watermark, more=more)
            mark = replace(judge, reviewed=reviewed).read(read, mark, read.watermark)
            self._backlog.judged(read.fetched, mark.watermark)
            if more and over:
                return mark, waiting, self._backlog.summary
            if more and (judge.stop.asked() or time.monotonic() > enough):
                return mark, waiting, _REST
        return mark, waiting, ""

    def _look_back(self, judge: Judge, source: Replayable, mark: Mark) -> Mark:
        """Judge unusual records of the history, once for each detector in this process."""
        if self._looked_back_by != judge.stored.id:
            mark = look_back(judge, source, mark, self._clock)
            self._looked_back_by = judge.stored.id
        return mark

    def _collect(self, run: Run) -> int:
        """Write arrived records of a stream; return the number of rejected records."""
        if self._inbox is None:
            return 0
        self._inbox.write_arrived()
        rejected = self._inbox.take_rejected()
        run.count(rejected=rejected)
        return sum(rejected.values())

    def score_again(
        self, run: Run, stop: Stop, *, since: datetime | None = None
    ) -> tuple[Outcome, str]:
        """Judge known records again with the active detector; store changes as new revisions.

        Raises:
            AemonError: the source, the records or the store fail.
        """
        source = self._open_source()
        judge = self._judge(run, stop)
        if judge is None:
            return self._cold_start(source, run)
        watermark = self._mark(source).watermark
        judge = replace(judge, reviewed=self._looks_back(source, watermark))
        judge_again(Reader(source), judge, since)
        counts = run.counts
        reason = f"{counts.records_revised} verdicts changed, {counts.records_reviewed} unchanged"
        return Outcome.OK, reason

    def _judge(self, run: Run, stop: Stop) -> Judge | None:
        loaded = self._active_detector.refresh()
        if loaded is None:
            return None
        with self._store.reading() as connection:
            snoozes = snoozes_of(connection, self.name)
            excuses = excuses_from(records_with_feedback(connection, self.name))
            run.count(episodes_open=count_open(connection, self.name, self._store.now()))
        quiet = self.settings.quiet
        memory = self._active_detector.memory
        shifts = memory.shifts if memory is not None else ()
        suppression = Suppression(
            monitor=self.name,
            settings=quiet,
            snoozes=snoozes,
            store=self._store,
            shifts=shifts,
            excuses=excuses,
        )
        return Judge(
            shadow=self._active_detector.shadow,
            memory=memory,
            monitor=self.name,
            settings=self.settings,
            store=self._store,
            clock=self._clock,
            stored=loaded.stored,
            detector=loaded.detector,
            run=run,
            stop=stop,
            suppression=suppression,
        )

    def _looks_back(
        self, source: Replayable, watermark: Watermark | None, *, more: bool = False
    ) -> bool:
        """Return whether this run looks for late records.

        With `lateness`, a run looks unless the source returns records in the order of arrival.
        Without `lateness`, a run looks unless keys show this order or `more` records wait.
        """
        if self.settings.lateness is not None:
            return not source.in_order_of_arrival
        return not more and source.hides(watermark)

    def _mark(self, source: Replayable) -> Mark:
        """Return the monitor's watermark; find its place in the source if the place is unknown.

        Raises:
            SourceConfigError: the stored watermark belongs to a different source.
        """
        mark = self._store.mark(self.name)
        now = identity(self.settings.source)
        if mark.generation and mark.source != now:
            raise SourceConfigError(
                f"{self.name} has read a different source until now: {mark.source}",
                todo="give the monitor a new name: it starts from the beginning, old results stay",
            )
        mark = replace(mark, source=now)
        chunk = self.settings.chunk_records
        return with_valid_positions(Reader(source), self.name, self._store, mark, chunk)

    def _cold_start(self, source: Replayable, run: Run) -> tuple[Outcome, str]:
        wanted = self.wanted = needed_records(self.settings, source)
        count = source.count(wanted)
        run.count(records_read=count, records_wanted=wanted)
        check_apart(source)
        seen = Unreadable()
        seen.add(Reader(source).after(None, min(count, MOST_LOOKED_AT) or 1))
        refusal = seen.refusal()
        if refusal is not None:
            raise refusal
        if count < wanted:
            return Outcome.COLLECTING, f"collecting {count} of {wanted} records"
        return (
            Outcome.COLLECTING,
            f"{wanted} records are there{first_training(self._store, self.name)}",
        )

    @property
    def in_use(self) -> StoredDetector | None:
        """The detector that judged the last records; None if no detector has judged yet."""
        return self._active_detector.active.stored if self._active_detector.active else None

    @property
    def feedback_waiting(self) -> int:
        """Number of feedback entries not yet used in training, as of the last check."""
        return self._active_detector.feedback_waiting

    def wants_training(self, now: datetime) -> str:
        """Return the reason for a new detector; empty if no new detector is needed."""
        return self._active_detector.wants_training(now) or self._backlog.why_train

    @property
    def behind(self) -> bool:
        """Whether the last run left records of a backlog to its next step."""
        return self._backlog.behind

    def await_training(self, run: Run, stop: Stop) -> tuple[Outcome, str]:  # noqa: ARG002 -- as all work
        """Judge no records: the next step of the backlog waits for the detector in training."""
        run.count(unfinished=True)
        return Outcome.OK, f"{self._backlog.summary}: the next step waits for a training"

    def _open_source(self) -> Replayable:
        if self._source is None:
            self._source = open_records(self.name, self.settings, self._store, self._clock)
        return self._source

    def replace_source(self) -> None:
        """Close and forget a source that hangs; the next run opens the source again.

        The inbox of a stream stays, because it holds the only copy of its records.
        """
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def listen(self) -> None:
        """Write arriving records of a stream into the store until the monitor is retired."""
        if self._inbox is not None:
            self._inbox.listen()

    def stop_listening(self, wait_seconds: float) -> None:
        """Write the last records of a stream; wait at most `wait_seconds` until this is done."""
        if self._inbox is not None:
            self._inbox.ask_to_end()
            self._inbox.wait(wait_seconds)

    def retire(self) -> None:
        """Close the source now, or after the current run; close a stream's inbox at once."""
        self._retired = True
        if self._inbox is not None:
            self._inbox.close()
        if not self._busy:
            self.close()

    def close(self) -> None:
        """Close the source and the inbox."""
        if self._inbox is not None:
            self._inbox.close()
        if self._source is not None:
            self._source.close()
            self._source = None
