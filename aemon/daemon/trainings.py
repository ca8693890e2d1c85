"""Trainings: requests due trainings, runs them in workers, and pauses after failures."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.daemon.runner import Runner
from aemon.daemon.scheduler import Scheduler
from aemon.daemon.workers import Workers
from aemon.errors import Remedy, WorkerError
from aemon.lifecycle.policy import pause_after
from aemon.lifecycle.training_run import Trained, train_in_worker
from aemon.logs import Action, log
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome
from aemon.run import Run, Stop

if TYPE_CHECKING:
    from concurrent.futures import Future

GRACE = timedelta(seconds=6)  # after the training timeout, to kill the worker

AWAITED_SECONDS = 600.0
"""Longest time for which a backlog waits for a training.

The limit is needed because many trainings may wait for a worker.
"""

logger = logging.getLogger(__name__)


@dataclass
class _Training:
    """The state of a monitor's training: its request, and its pause after failures."""

    asked: bool = False  # whether a training waits for a worker, or is running
    asked_at: float = 0.0  # monotonic
    failures: int = 0
    not_before: datetime | None = field(default=None)
    pause: timedelta = timedelta(0)

    def waits(self, now: datetime) -> bool:
        """Return whether the pause after a failure has not ended yet.

        A clock that was set back does not lengthen the pause.
        """
        until = self.not_before
        return until is not None and timedelta(0) < until - now <= self.pause


class Trainings:
    """The trainings of all monitors that need a new detector.

    Args:
        store_url: address of the store into which workers write detectors.
        workers: the workers, which train while the daemon continues to score.
        runner: the runner, which writes a ledger row for each training.
        scheduler: the scheduler, which starts a training when a worker is free.
        clock: the time.
        stopping: returns whether the daemon is stopping.
    """

    def __init__(
        self,
        store_url: str,
        workers: Workers,
        runner: Runner,
        scheduler: Scheduler,
        clock: Clock,
        stopping: Callable[[], bool],
    ) -> None:
        self._store_url = store_url
        self._runner = runner
        self._scheduler = scheduler
        self._clock = clock
        self._stopping = stopping
        self._workers = workers
        self._trainings: dict[str, _Training] = {}
        self._working: dict[str, Future[Trained]] = {}

    def look_after(self, monitor: Monitor, *, enough: bool) -> None:
        """Request a training of a monitor if a training is due.

        Args:
            monitor: the monitor that was just scored.
            enough: whether the monitor is in its cold start, and now has enough records to end it.
        """
        training = self._trainings.setdefault(monitor.name, _Training())
        now = self._clock()
        if training.asked or training.waits(now):
            return
        reason = "first: there are enough records" if enough else monitor.wants_training(now)
        if reason:
            training.asked, training.asked_at = True, time.monotonic()
            self._scheduler.once(monitor.name, lambda: self._tick(monitor, training, reason))

    def is_awaited(self, name: str) -> bool:
        """Return whether a training was requested in the last `AWAITED_SECONDS` and has not ended.

        The training may be running, or may wait for a worker.
        """
        training = self._trainings.get(name)
        if training is None or not training.asked:
            return False
        return time.monotonic() - training.asked_at < AWAITED_SECONDS

    def forget(self, name: str) -> None:
        """Drop or kill the training of a monitor that is no longer watched here."""
        self._trainings.pop(name, None)
        self._scheduler.drop_training(name)
        future = self._working.pop(name, None)
        if future is not None:
            self._workers.kill(future)

    def stop(self) -> None:
        """Kill all workers."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _tick(self, monitor: Monitor, training: _Training, reason: str) -> None:
        if self._trainings.get(monitor.name) is not training:
            return  # the training was dropped while it waited for a worker
        try:
            self._train_in_turn(monitor, training, reason)
        finally:
            training.asked = False
            if monitor.behind:
                self._scheduler.hurry(monitor.name)

    def _train_in_turn(self, monitor: Monitor, training: _Training, reason: str) -> None:
        report = self._runner.run(
            monitor.name, Job.TRAIN, lambda run, stop: self._train(monitor, reason, run, stop),
            monitor.settings.train_timeout + GRACE,
        )  # fmt: skip
        if report.outcome is Outcome.OK or report.remedy is Remedy.SKIP:
            training.failures, training.not_before = 0, None
            return
        pause = pause_after(training.failures, report.remedy)
        training.failures += 1
        training.not_before, training.pause = self._clock() + pause, pause

    def _train(self, monitor: Monitor, reason: str, run: Run, stop: Stop) -> tuple[Outcome, str]:
        """Wait for a worker to train a detector; kill the worker after the training timeout."""
        settings = monitor.settings
        log(logger, logging.INFO, Action.TRAIN_STARTED, reason, monitor=monitor.name)
        future = self._workers.submit(
            train_in_worker, monitor.name, settings, self._store_url, reason, monitor.fence,
            memory=settings.life.train_memory,
        )  # fmt: skip
        self._working[monitor.name] = future
        seconds = settings.train_timeout.total_seconds()
        try:
            trained: Trained = future.result(seconds)
        except TimeoutError:
            self._workers.kill(future)
            return Outcome.TIMED_OUT, f"the training was not done after {seconds:g} s"
        except WorkerError:
            if stop.asked():
                return Outcome.ABANDONED, stop.reason
            if self._stopping():
                return Outcome.ABANDONED, "aemon is stopping"
            raise
        finally:
            if self._working.get(monitor.name) is future:
                del self._working[monitor.name]
        run.count(records_read=trained.records)
        run.detector_id, run.threshold_id = trained.id, trained.threshold_id
        return Outcome.OK, trained.sentence
