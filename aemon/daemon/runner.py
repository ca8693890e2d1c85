"""The runner: measures every run, ends runs after their timeout, and reports their failures."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from aemon.clock import Clock
from aemon.daemon.repeated_failures import RepeatedFailures
from aemon.daemon.store_backoff import Ledger, Outage
from aemon.errors import (
    AemonError,
    FrameError,
    Remedy,
    ResourceError,
    SourceConfigError,
    SourceError,
    StoreError,
)
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics
from aemon.records import Job, Outcome
from aemon.run import Run, Stop, Work
from aemon.run_report import RunReport
from aemon.store.store import Store
from aemon.threads import start_thread

_LEVELS = {
    Outcome.FAILED: logging.ERROR,
    Outcome.TIMED_OUT: logging.ERROR,
    Outcome.MISFIRED: logging.WARNING,
    Outcome.NO_DATA: logging.DEBUG,
}
_WELL = {Outcome.OK, Outcome.NO_DATA, Outcome.COLLECTING}
_SOURCE_ERRORS = {
    SourceError: "unreachable",
    SourceConfigError: "misconfigured",
    FrameError: "unfit",
}
MOST_HANGING = 3  # from this number of hanging runs on, a monitor is tried with growing pauses
MOST_THREADS = 30  # from this number on, a monitor is not tried: each hanging run holds a thread
PAUSE_TIMEOUTS = 10  # first pause between tries, in timeouts; the pause doubles, up to an hour
LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(kw_only=True)
class _Execution:
    """One run, which has its own thread."""

    monitor: str
    job: Job
    started_at: datetime
    stop: Stop = field(default_factory=Stop)
    run: Run = field(default_factory=Run)
    settled: threading.Event = field(
        default_factory=threading.Event
    )  # set when the run ended or was given up
    ended: bool = False
    hangs: bool = False
    store_failed: bool = False
    outcome: Outcome = Outcome.FAILED
    reason: str = ""
    remedy: Remedy | None = None
    crash: Exception | None = None  # an unexpected error


class Runner:
    """The runner of all jobs. Failures do not stop the daemon; every run gets a ledger row."""

    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[int, _Execution] = {}
        self._hanging: Counter[str] = Counter()
        self._hung_at: dict[str, float] = {}  # monotonic: when the last run ended or was given up
        self._stopping = ""
        self._failures = RepeatedFailures()
        self._outage = Outage(metrics, clock)
        self._ledger = Ledger(store, metrics, self._outage)

    def run(self, monitor: str, job: Job, work: Work, timeout: timedelta) -> RunReport:
        """Do one run; wait until the run ends or its timeout passes.

        After the timeout, the run is given up: its thread may hang, but cannot write any longer.

        Args:
            monitor: name of the monitor.
            job: the job of the run.
            work: does the work, and returns the outcome and its reason.
            timeout: longest duration of the run.

        Returns:
            The report of the run; its outcome is `skipped` if the run may not start now.
        """
        execution = _Execution(monitor=monitor, job=job, started_at=self._clock())
        execution.run.started_at = execution.started_at
        refusal = self._outage.waits() or self._admit(execution, timeout)
        if refusal:
            return self.note(monitor, job, Outcome.SKIPPED, refusal)
        try:
            start_thread(lambda: self._execute(execution, work), f"{job}:{monitor}")
        except ResourceError as error:
            with self._lock:
                self._runs.pop(id(execution), None)
            return self.note(monitor, job, Outcome.SKIPPED, str(error))
        if not execution.settled.wait(timeout.total_seconds()):
            execution.stop.ask(f"not done after {timeout.total_seconds():g} s")
        with self._lock:
            execution.hangs = not execution.ended
            self._hanging[monitor] += execution.hangs
            self._hung_at[monitor] = time.monotonic()
        if execution.hangs:
            outcome = Outcome.ABANDONED if self._stopping else Outcome.TIMED_OUT
            return self._finish(execution, outcome, execution.stop.reason)
        return self._finish(execution, execution.outcome, execution.reason)

    def _admit(self, execution: _Execution, timeout: timedelta) -> str:
        """Return the reason why a run may not start; empty if the run may start.

        A source may recover, although its hanging query never returns. So runs of a hanging monitor
        are tried again. The pauses between tries grow, because each hanging run keeps a thread.
        """
        with self._lock:
            if self._stopping:
                return self._stopping
            hanging = self._hanging[execution.monitor]
            if hanging >= MOST_THREADS:
                return f"{hanging} runs of {execution.monitor} hang: restart aemon"
            if hanging >= MOST_HANGING:
                times = PAUSE_TIMEOUTS * 2.0 ** (hanging - MOST_HANGING)
                pause = min(times * timeout.total_seconds(), LONGEST_PAUSE_SECONDS)
                if time.monotonic() < self._hung_at[execution.monitor] + pause:
                    return (
                        f"{hanging} runs of {execution.monitor} hang; the pauses between tries grow"
                    )
            self._runs[id(execution)] = execution
        return ""

    def _execute(self, execution: _Execution, work: Work) -> None:
        """Do the work in the thread of the run, and note its outcome."""
        try:
            execution.outcome, execution.reason = work(execution.run, execution.stop)
        except AemonError as error:
            skipped = error.remedy is Remedy.SKIP
            execution.outcome = Outcome.ABANDONED if skipped else Outcome.FAILED
            execution.reason, execution.remedy = str(error), error.remedy
            execution.store_failed = isinstance(error, StoreError)
            self._count(execution.monitor, error)
        except Exception as error:  # noqa: BLE001 -- logged with its traceback
            execution.outcome = Outcome.FAILED
            execution.reason = f"unexpected {type(error).__name__}: {error} (please report this)"
            execution.crash = error
        finally:
            with self._lock:
                execution.ended = True
                self._runs.pop(id(execution), None)
                self._hanging[execution.monitor] -= execution.hangs
            execution.settled.set()

    def _count(self, monitor: str, error: AemonError) -> None:
        if isinstance(error, StoreError):
            self._outage.failed()
        for kind, reason in _SOURCE_ERRORS.items():
            if isinstance(error, kind):
                self._metrics.count_source_error(monitor, reason)

    def _finish(self, execution: _Execution, outcome: Outcome, reason: str) -> RunReport:
        if outcome is Outcome.TIMED_OUT and execution.job is Job.SCORE:
            self._metrics.count_source_error(execution.monitor, "timed_out")
        times = (execution.started_at, self._clock())
        report = execution.run.report(execution.monitor, execution.job, outcome, reason, times)
        report = replace(report, remedy=execution.remedy)
        self._save(
            report, execution.run.id, at_once=not execution.store_failed, crash=execution.crash
        )
        return report

    def note(self, monitor: str, job: Job, outcome: Outcome, reason: str) -> RunReport:
        """Write a ledger row for a tick that did not run, with the reason."""
        now = self._clock()
        report = Run().report(monitor, job, outcome, reason, (now, now))
        self._save(report, None, at_once=not self._outage.is_on)
        return report

    def _save(
        self,
        report: RunReport,
        run_id: int | None,
        *,
        at_once: bool,
        crash: Exception | None = None,
    ) -> None:
        logger = logging.getLogger(__name__)
        self._metrics.observe(report)
        level, times = self._loudness(report)
        if crash is not None and times:
            logger.error("", exc_info=crash, extra={"action": Action.RUN_CRASHED})
        log(
            logger,
            level,
            f"{report.job}.{report.outcome}",
            report.reason,
            monitor=report.monitor,
            seconds=round(report.seconds, 3),
            **{
                name: value
                for name, value in (
                    ("scored", report.counts.records_scored),
                    ("anomalies", report.counts.anomalies),
                    ("rejected", report.counts.records_rejected),
                    ("times", times if times > 1 else 0),
                )
                if value
            },
        )
        self._ledger.save(report, run_id, at_once=at_once)

    def _loudness(self, report: RunReport) -> tuple[int, int]:
        """Return the log level of a run, and the number of runs that its log line counts.

        A failure that repeats at every tick must not fill the log. Most repetitions therefore have
        no log line: their number is 0. A later log line counts these repetitions: its number is
        above 1.
        """
        level = _LEVELS.get(report.outcome, logging.INFO)
        if level < logging.WARNING:
            if report.outcome in _WELL:
                self._failures.ended_well(report.monitor, report.job)
            return level, 1
        times = self._failures.times(report.monitor, report.job, report.outcome, report.reason)
        return (level if times else logging.DEBUG), times

    def running(self, monitor: str) -> bool:
        """Return whether a run of this monitor is running.

        Hanging runs that were given up do not count, because they cannot write. Removal of old
        results does not count, because it needs no lease.
        """
        with self._lock:
            runs = list(self._runs.values())
        leased = (execution for execution in runs if execution.job is not Job.PRUNE)
        return any(execution.monitor == monitor and not execution.hangs for execution in leased)

    def ask_to_end(self, monitor: str, reason: str) -> None:
        """Ask the running runs of a monitor to end after their next commit."""
        with self._lock:
            runs = [execution for execution in self._runs.values() if execution.monitor == monitor]
        for execution in runs:
            if execution.job is not Job.PRUNE:
                execution.stop.ask(reason)

    def refuse(self, reason: str) -> None:
        """Refuse all further runs, and ask the running runs to end."""
        with self._lock:
            self._stopping = reason
            running = list(self._runs.values())
        for execution in running:
            execution.stop.ask(reason)

    def stop(self, wait_seconds: float) -> bool:
        """Wait for the end of all running runs.

        A run that does not end in time is given up: no thread waits for its end any longer.

        Args:
            wait_seconds: longest time to wait for all runs together.

        Returns:
            Whether all runs ended in time.
        """
        with self._lock:
            running = list(self._runs.values())
        deadline = time.monotonic() + wait_seconds
        for execution in running:
            execution.settled.wait(max(0.0, deadline - time.monotonic()))
            execution.settled.set()
        return all(execution.ended for execution in running)
