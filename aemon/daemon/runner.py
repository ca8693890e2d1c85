"""The runner: times every run, ends it when its time is up, contains its failure, reports it."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aemon.clock import Clock
from aemon.daemon.store_backoff import Ledger, Outage
from aemon.errors import AemonError, FrameError, SourceConfigError, SourceError, StoreError
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics
from aemon.records import Job, Outcome, RunReport
from aemon.run import AbandonedError, Stop, Tally, Work
from aemon.store.fences import LostLeaseError
from aemon.store.store import StaleWatermarkError, Store

_LEVELS = {
    Outcome.FAILED: logging.ERROR,
    Outcome.TIMED_OUT: logging.ERROR,
    Outcome.MISFIRED: logging.WARNING,
    Outcome.NO_DATA: logging.DEBUG,
}
_SOURCE_ERRORS = {
    SourceError: "unreachable",
    SourceConfigError: "misconfigured",
    FrameError: "unfit",
}
MOST_HANGING = 3  # abandoned runs of one monitor that hang; then it is tried but now and then
MOST_THREADS = 30  # abandoned runs of one monitor, whatever happens: each holds a thread
PAUSE_TIMEOUTS = 10  # between two tries of a monitor that hangs, in timeouts; doubles up to an hour
LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(kw_only=True)
class _Run:
    """One run in its own thread."""

    monitor: str
    job: Job
    started_at: datetime
    stop: Stop = field(default_factory=Stop)
    tally: Tally = field(default_factory=Tally)
    settled: threading.Event = field(default_factory=threading.Event)  # ended, or given up
    ended: bool = False
    hangs: bool = False
    store_failed: bool = False
    outcome: Outcome = Outcome.FAILED
    reason: str = ""


class Runner:
    """Runs work so that nothing it does can stop the daemon; every run leaves a ledger row."""

    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[int, _Run] = {}
        self._hanging: Counter[str] = Counter()
        self._hung_at: dict[str, float] = {}  # monotonic: when a run was given up last
        self._stopping = ""
        self._outage = Outage(metrics, clock)
        self._ledger = Ledger(store, metrics, self._outage)

    def run(self, monitor: str, job: Job, work: Work, timeout: timedelta) -> RunReport:
        """Do one run and wait for its end, or for its time to be up.

        A run whose time is up is abandoned: its thread may hang on, but may not write any more.
        """
        run = _Run(monitor=monitor, job=job, started_at=self._clock())
        run.tally.started_at = run.started_at
        refusal = self._outage.waits() or self._admit(run, timeout)
        if refusal:
            return self.note(monitor, job, Outcome.SKIPPED, refusal)
        thread = threading.Thread(
            target=self._execute, args=(run, work), name=f"{job}:{monitor}", daemon=True
        )
        thread.start()
        if not run.settled.wait(timeout.total_seconds()):
            run.stop.ask(f"not done after {timeout.total_seconds():g} s")
        with self._lock:
            run.hangs = not run.ended
            self._hanging[monitor] += run.hangs
            self._hung_at[monitor] = time.monotonic()
        if run.hangs:
            outcome = Outcome.ABANDONED if self._stopping else Outcome.TIMED_OUT
            return self._finish(run, outcome, run.stop.reason)
        return self._finish(run, run.outcome, run.reason)

    def _admit(self, run: _Run, timeout: timedelta) -> str:
        """Why a run may not start; empty if it may.

        A source that hangs may answer again some day, though what was asked of it never returns.
        So it is asked anew, more and more seldom: each try may cost a thread for ever.
        """
        with self._lock:
            if self._stopping:
                return self._stopping
            hanging = self._hanging[run.monitor]
            if hanging >= MOST_THREADS:
                return f"{hanging} runs of {run.monitor} hang for ever: restart aemon"
            if hanging >= MOST_HANGING:
                times = PAUSE_TIMEOUTS * 2.0 ** (hanging - MOST_HANGING)
                pause = min(times * timeout.total_seconds(), LONGEST_PAUSE_SECONDS)
                if time.monotonic() < self._hung_at[run.monitor] + pause:
                    return f"{hanging} runs of {run.monitor} hang; it is tried again now and then"
            self._runs[id(run)] = run
        return ""

    def _execute(self, run: _Run, work: Work) -> None:
        """In the run's own thread."""
        try:
            run.outcome, run.reason = work(run.tally, run.stop)
        except (AbandonedError, StaleWatermarkError, LostLeaseError) as error:
            run.outcome, run.reason = Outcome.ABANDONED, str(error)
        except AemonError as error:
            run.outcome, run.reason = Outcome.FAILED, str(error)
            run.store_failed = isinstance(error, StoreError)
            self._count(run.monitor, error)
        except Exception as error:
            run.outcome = Outcome.FAILED
            run.reason = f"unexpected {type(error).__name__}: {error} (please report this)"
            logging.getLogger(__name__).exception("", extra={"action": Action.RUN_CRASHED})
        finally:
            with self._lock:
                run.ended = True
                self._runs.pop(id(run), None)
                self._hanging[run.monitor] -= run.hangs
            run.settled.set()

    def _count(self, monitor: str, error: AemonError) -> None:
        if isinstance(error, StoreError):
            self._outage.failed()
        for kind, reason in _SOURCE_ERRORS.items():
            if isinstance(error, kind):
                self._metrics.count_source_error(monitor, reason)

    def _finish(self, run: _Run, outcome: Outcome, reason: str) -> RunReport:
        if outcome is Outcome.TIMED_OUT and run.job is Job.SCORE:
            self._metrics.count_source_error(run.monitor, "timed_out")
        times = (run.started_at, self._clock())
        report = run.tally.report(run.monitor, run.job, outcome, reason, times)
        self._save(report, run.tally.run_id, at_once=not run.store_failed)
        return report

    def note(self, monitor: str, job: Job, outcome: Outcome, reason: str) -> RunReport:
        """Write a tick that did not run into the ledger, with its reason."""
        now = self._clock()
        report = Tally().report(monitor, job, outcome, reason, (now, now))
        self._save(report, None, at_once=not self._outage.is_on)
        return report

    def _save(self, report: RunReport, run_id: int | None, *, at_once: bool) -> None:
        logger = logging.getLogger(__name__)
        self._metrics.observe(report)
        log(
            logger,
            _LEVELS.get(report.outcome, logging.INFO),
            f"{report.job}.{report.outcome}",
            report.reason,
            monitor=report.monitor,
            seconds=round(report.seconds, 3),
            **{
                name: value
                for name, value in (
                    ("scored", report.records_scored),
                    ("anomalies", report.anomalies),
                    ("rejected", report.records_rejected),
                )
                if value
            },
        )
        self._ledger.save(report, run_id, at_once=at_once)

    def running(self, monitor: str) -> bool:
        """Whether a run of this monitor is in hand; one that hangs may not write any more."""
        with self._lock:
            runs = list(self._runs.values())
        leased = (run for run in runs if run.job is not Job.PRUNE)
        return any(run.monitor == monitor and not run.hangs for run in leased)

    def ask_to_end(self, monitor: str, reason: str) -> None:
        """Ask the monitor's runs to end between two commits."""
        with self._lock:
            runs = [run for run in self._runs.values() if run.monitor == monitor]
        for run in runs:
            if run.job is not Job.PRUNE:
                run.stop.ask(reason)

    def refuse(self, reason: str) -> None:
        """Start no more runs, and ask the running ones to end."""
        with self._lock:
            self._stopping = reason
            running = list(self._runs.values())
        for run in running:
            run.stop.ask(reason)

    def stop(self, wait_seconds: float) -> bool:
        """Wait for the runs that were asked to end.

        Those that have not ended by then are given up: whoever waits for them waits no more.

        Returns:
            Whether all of them ended in time.
        """
        with self._lock:
            running = list(self._runs.values())
        deadline = time.monotonic() + wait_seconds
        for run in running:
            run.settled.wait(max(0.0, deadline - time.monotonic()))
            run.settled.set()
        return all(run.ended for run in running)
