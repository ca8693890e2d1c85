"""The monitors that are watched here: they come and go by leases and by reloads, and are scored."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.config.values.cron import Cron
from aemon.daemon.runner import Runner
from aemon.daemon.scheduler import Scheduler, Timing
from aemon.daemon.trainings import Trainings
from aemon.errors import StoreError
from aemon.lifecycle.cold_start import needed_for
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome
from aemon.run_report import RunReport
from aemon.store import queries
from aemon.store.detectors import StoredDetector
from aemon.store.fences import Fence
from aemon.store.store import Store
from aemon.threads import thread_errors

SPREAD = timedelta(milliseconds=50)  # between the first ticks of two monitors, at most


@dataclass(frozen=True, kw_only=True)
class WatchingParts:
    """What it takes to watch."""

    store: Store
    metrics: Metrics
    runner: Runner
    scheduler: Scheduler
    trainings: Trainings
    clock: Clock


class Watching:
    """Begins and ends to watch monitors.

    Args:
        works: to watch with.
        configured: the monitors there are, watched here or elsewhere.
        observe: told how every scoring run ended.
        stopping: whether the daemon is.
    """

    def __init__(
        self,
        works: WatchingParts,
        configured: Mapping[str, MonitorSettings],
        *,
        observe: Callable[[RunReport], None],
        stopping: Callable[[], bool],
    ) -> None:
        self.monitors: dict[str, Monitor] = {}
        self._works = works
        self._configured = configured
        self._observe = observe
        self._stopping = stopping
        self._shown: dict[str, tuple[int, int]] = {}  # detector and threshold
        self._lock = threading.RLock()  # leases and reloads come from threads of their own

    def adopt(self, configured: Mapping[str, MonitorSettings]) -> None:
        """Watch what is watched here by other settings, or not any more.

        What keeps a monitor from being watched is raised. Such a monitor is begun by the next beat
        of the leases.
        """
        with self._lock:
            self._configured = configured
            differing = {
                name: monitor
                for name, monitor in self.monitors.items()
                if monitor.settings != configured.get(name)
            }
            for name in differing:
                self.end(name)
            for name, monitor in differing.items():
                if monitor.fence is not None:
                    self.begin(name, monitor.fence)

    def begin(self, name: str, fence: Fence) -> None:
        """Watch a monitor whose lease is held, unless it is watched; first ticks of many lie apart.

        Raises:
            ResourceError: the machine has no thread to give; nothing is begun.
        """
        with self._lock:
            settings = self._configured.get(name)
            known = self.monitors.get(name)
            if self._stopping() or settings is None or (known and known.fence == fence):
                return
            if known is not None:
                self.end(name)
            delay = _delay(settings.score_every, len(self.monitors), len(self._configured))
            monitor = Monitor(
                name, settings, self._works.store, self._works.clock, fence, in_steps=True
            )
            with thread_errors(f"the inbox of {name}"):
                monitor.listen()
            self.monitors[name] = monitor
            try:
                self._works.metrics.add_monitor(name, settings)
                self._schedule(monitor, delay)
            except BaseException:
                self.end(name)
                raise

    def _schedule(self, monitor: Monitor, delay: timedelta) -> None:
        settings = monitor.settings
        self._works.scheduler.every(
            settings.score_every,
            monitor.name,
            lambda: self._tick(monitor),
            Timing(
                zone=ZoneInfo(settings.timezone),
                jitter=settings.jitter,
                grace=settings.grace,
                delay=delay,
            ),
        )

    def end(self, name: str) -> None:
        """Watch a monitor no more; a run in hand ends after its next commit."""
        with self._lock:
            self._works.scheduler.drop(name)
            self._works.runner.ask_to_end(name, "the monitor is not watched here any more")
            self._works.trainings.forget(name)
            self._shown.pop(name, None)
            monitor = self.monitors.pop(name, None)
            if monitor is not None:
                monitor.retire()
            self._works.metrics.forget_monitor(name)

    def wanted(self, name: str) -> int:
        """Return how many records end the cold start of a monitor; 0 if it is not configured."""
        monitor, settings = self.monitors.get(name), self._configured.get(name)
        if monitor is not None:
            return monitor.wanted
        return needed_for(0, settings) if settings is not None else 0

    def stop_listening(self, wait_seconds: float) -> None:
        """Let the last records of streams be written, while the leases are still held."""
        for monitor in self.monitors.copy().values():
            monitor.stop_listening(0)
        deadline = time.monotonic() + wait_seconds
        for monitor in self.monitors.copy().values():
            monitor.stop_listening(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Let go of all sources; no run may be in hand."""
        for monitor in self.monitors.copy().values():
            monitor.close()

    def cut_off(self, wait_seconds: float) -> None:
        """End what sources are asked by runs that hang, and wait no longer than is given."""
        cutting = [
            threading.Thread(target=monitor.replace_source, name="cut-off", daemon=True)
            for monitor in self.monitors.copy().values()
        ]
        deadline = time.monotonic() + wait_seconds
        with suppress(RuntimeError):  # the machine has no more threads
            for thread in cutting:
                thread.start()
            for thread in cutting:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _tick(self, monitor: Monitor) -> None:
        timeout = monitor.settings.score_timeout
        waits = monitor.behind and self._works.trainings.is_awaited(monitor.name)
        work = monitor.await_training if waits else monitor.score_once
        report = self._works.runner.run(monitor.name, Job.SCORE, work, timeout)
        self._observe(report)
        if report.outcome is Outcome.TIMED_OUT:
            monitor.replace_source()
        if self.monitors.get(monitor.name) is not monitor:
            return  # it went to another, or was dropped, while this run went on
        in_use = monitor.in_use
        if in_use and self._shown.get(monitor.name) != (in_use.id, in_use.threshold_id):
            self._show(in_use)
        wanted = report.counts.records_wanted
        enough = bool(wanted) and report.counts.records_read >= wanted
        self._works.trainings.look_after(monitor, enough=enough)
        self._works.metrics.show_feedback(monitor.name, monitor.feedback_waiting)
        waits = self._works.trainings.is_awaited(monitor.name)
        if monitor.behind and report.counts.unfinished and not waits:
            self._works.scheduler.hurry(monitor.name)

    def _show(self, detector: StoredDetector) -> None:
        """Show a detector, and what it has flagged before this daemon began."""
        try:
            realised = queries.realised(self._works.store, detector)
        except StoreError:
            self._works.metrics.store_errors.inc()
            return  # the next tick asks again
        with self._lock:
            self._works.metrics.show_detector(detector, realised)
            if detector.monitor in self.monitors:  # else it went to another meanwhile
                self._shown[detector.monitor] = (detector.id, detector.threshold_id)


def _delay(schedule: timedelta | Cron, place: int, monitors: int) -> timedelta:
    """How long the first tick of the monitor at a place waits, so that not all are due at once."""
    if isinstance(schedule, Cron):
        return timedelta(0)
    return place * min(SPREAD, schedule / monitors)
