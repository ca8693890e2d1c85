"""The monitors that this daemon watches: begins, scores and ends them."""

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

SPREAD = timedelta(milliseconds=50)  # longest pause between the first ticks of two monitors


@dataclass(frozen=True, kw_only=True)
class WatchingParts:
    """The parts of the daemon that are needed to watch monitors."""

    store: Store
    metrics: Metrics
    runner: Runner
    scheduler: Scheduler
    trainings: Trainings
    clock: Clock


class Watching:
    """The monitors that this daemon watches; leases and reloads begin and end the watching.

    Args:
        parts: the parts of the daemon that are needed to watch monitors.
        configured: all configured monitors, whether watched here or by another replica.
        observe: called with the report of every scoring run.
        stopping: returns whether the daemon is stopping.
    """

    def __init__(
        self,
        parts: WatchingParts,
        configured: Mapping[str, MonitorSettings],
        *,
        observe: Callable[[RunReport], None],
        stopping: Callable[[], bool],
    ) -> None:
        self.monitors: dict[str, Monitor] = {}
        self._parts = parts
        self._configured = configured
        self._observe = observe
        self._stopping = stopping
        self._shown: dict[str, tuple[int, int]] = {}  # ids of detector and threshold
        self._lock = threading.RLock()  # leases and reloads call from separate threads

    def adopt(self, configured: Mapping[str, MonitorSettings]) -> None:
        """Use new settings for the monitors watched here; end monitors that are not configured.

        If a monitor cannot be watched, its error is raised. The next heartbeat of the leases then
        tries to begin the monitor again.

        Args:
            configured: all configured monitors, with their new settings.
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
        """Begin to watch a monitor whose lease is held, unless the monitor is watched already.

        The first ticks of several monitors are spread over time.

        Raises:
            ResourceError: the machine cannot start a thread; the monitor is not watched.
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
                name, settings, self._parts.store, self._parts.clock, fence, in_steps=True
            )
            with thread_errors(f"the inbox of {name}"):
                monitor.listen()
            self.monitors[name] = monitor
            try:
                self._parts.metrics.add_monitor(name, settings)
                self._schedule(monitor, delay)
            except BaseException:
                self.end(name)
                raise

    def _schedule(self, monitor: Monitor, delay: timedelta) -> None:
        settings = monitor.settings
        self._parts.scheduler.every(
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
        """Stop watching a monitor; a running run of the monitor ends after its next commit."""
        with self._lock:
            self._parts.scheduler.drop(name)
            self._parts.runner.ask_to_end(name, "the monitor is not watched here any more")
            self._parts.trainings.forget(name)
            self._shown.pop(name, None)
            monitor = self.monitors.pop(name, None)
            if monitor is not None:
                monitor.retire()
            self._parts.metrics.forget_monitor(name)

    def needed(self, name: str) -> int:
        """Return the number of records that end a monitor's cold start; 0 for unknown monitors."""
        monitor, settings = self.monitors.get(name), self._configured.get(name)
        if monitor is not None:
            return monitor.wanted
        return needed_for(0, settings) if settings is not None else 0

    def stop_listening(self, wait_seconds: float) -> None:
        """Stop the streams, and write their last records while the leases are still held.

        Args:
            wait_seconds: longest time to wait for all streams together.
        """
        for monitor in self.monitors.copy().values():
            monitor.stop_listening(0)
        deadline = time.monotonic() + wait_seconds
        for monitor in self.monitors.copy().values():
            monitor.stop_listening(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Close all sources; call this only if no run is running."""
        for monitor in self.monitors.copy().values():
            monitor.close()

    def cut_off(self, wait_seconds: float) -> None:
        """Close the sources to cancel the queries of hanging runs; wait at most `wait_seconds`."""
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
        waits = monitor.behind and self._parts.trainings.is_awaited(monitor.name)
        work = monitor.await_training if waits else monitor.score_once
        report = self._parts.runner.run(monitor.name, Job.SCORE, work, timeout)
        self._observe(report)
        if report.outcome is Outcome.TIMED_OUT:
            monitor.replace_source()
        if self.monitors.get(monitor.name) is not monitor:
            return  # during this run, the monitor went to another replica or was removed
        active = monitor.in_use
        if active and self._shown.get(monitor.name) != (active.id, active.threshold_id):
            self._show(active)
        needed = report.counts.records_wanted
        enough = bool(needed) and report.counts.records_read >= needed
        self._parts.trainings.look_after(monitor, enough=enough)
        self._parts.metrics.show_feedback(monitor.name, monitor.feedback_waiting)
        waits = self._parts.trainings.is_awaited(monitor.name)
        if monitor.behind and report.counts.unfinished and not waits:
            self._parts.scheduler.hurry(monitor.name)

    def _show(self, detector: StoredDetector) -> None:
        """Show a detector in the metrics; include the counts from before the daemon's start."""
        try:
            realised = queries.realised(self._parts.store, detector)
        except StoreError:
            self._parts.metrics.store_errors.inc()
            return  # the next tick tries again
        with self._lock:
            self._parts.metrics.show_detector(detector, realised)
            if detector.monitor in self.monitors:  # else another replica took the monitor
                self._shown[detector.monitor] = (detector.id, detector.threshold_id)


def _delay(schedule: timedelta | Cron, place: int, monitors: int) -> timedelta:
    """Return the delay of a monitor's first tick, so that not all monitors are due at once.

    Args:
        schedule: the monitor's schedule.
        place: number of monitors that this daemon already watches.
        monitors: number of configured monitors.
    """
    if isinstance(schedule, Cron):
        return timedelta(0)
    return place * min(SPREAD, schedule / monitors)
