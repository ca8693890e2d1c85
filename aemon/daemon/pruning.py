"""The prune job: removes old results, and closes the ledger rows of lost runs."""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.config.service_settings import RetentionSettings
from aemon.daemon.clock_doubt import ClockDoubt
from aemon.daemon.runner import Runner
from aemon.errors import StoreError
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics
from aemon.records import Job, Outcome
from aemon.run import Run, Stop, Work
from aemon.store import retention
from aemon.store.ledger import end_lost_runs
from aemon.store.store import Store

logger = logging.getLogger(__name__)

ENOUGH_SECONDS = 300.0  # time for one monitor in one round; the next round continues
PAUSE_UNKNOWN = timedelta(days=7)  # assumed pause between runs if no monitor is configured
LONGEST = timedelta(seconds=2 * ENOUGH_SECONDS)  # timeout of the removal for one monitor
LOST_AFTER_TIMEOUTS = 2  # timeouts after which a run without an end counts as lost


class Retention:
    """The rounds that remove old results of all monitors in the store, configured or not.

    The ledger gets a row for each monitor and each round in which results of the monitor are due
    for removal.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        metrics: Metrics,
        monitors: Mapping[str, MonitorSettings],
        settings: RetentionSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._runner = runner
        self._metrics = metrics
        self._monitors = monitors
        self._settings = settings
        self._clock = clock
        self._doubt = ClockDoubt(store, clock).reason
        self._held = ""  # why removal waits because of the clock; empty if it does not wait

    def adopt(self, monitors: Mapping[str, MonitorSettings], settings: RetentionSettings) -> None:
        """Use new settings, beginning with the next round."""
        self._monitors, self._settings = monitors, settings

    def round(self) -> None:
        """Remove results that are too old, unless the clock is in doubt.

        After an error of the store, the next round tries again.
        """
        now = self._clock()
        try:
            if self._is_held():
                return
            self.end_lost_runs()
            due = retention.due_monitors(self._store, self._settings, now)
        except StoreError as error:
            self._failed(error)
            return
        for monitor in due:
            report = self._runner.run(monitor, Job.PRUNE, self._work(monitor, now), LONGEST)
            if report.outcome not in {Outcome.OK, Outcome.FAILED}:
                return  # the daemon stops, or the store does not answer
        try:
            retention.drop_empty_partitions(self._store, self._settings, now)
        except StoreError as error:
            self._failed(error)

    def _is_held(self) -> bool:
        """Return whether removal waits because of the clock; log the reason once."""
        now = self._clock()
        pauses = (settings.pause(Job.SCORE, now) for settings in self._monitors.values())
        reason = self._doubt(min(pauses, default=PAUSE_UNKNOWN))
        if reason and not self._held:
            log(logger, logging.WARNING, Action.PRUNE_HELD, reason)
        self._held = reason
        return bool(reason)

    def end_lost_runs(self) -> None:
        """Close the ledger's rows of runs that ended together with their daemon."""
        try:
            for name, settings in self._monitors.items():
                longest = max(settings.score_timeout, settings.train_timeout)
                begun_before = self._clock() - LOST_AFTER_TIMEOUTS * longest
                lost = end_lost_runs(self._store, name, begun_before)
                if lost:
                    log(logger, logging.WARNING, Action.RUNS_LOST, monitor=name, runs=lost)
        except StoreError as error:
            self._failed(error)

    def _work(self, monitor: str, now: datetime) -> Work:
        def work(run: Run, stop: Stop) -> tuple[Outcome, str]:  # noqa: ARG001 -- no records read
            removed = dict.fromkeys(retention.TABLES, 0)
            enough = time.monotonic() + ENOUGH_SECONDS
            for table, count in retention.removals(self._store, monitor, self._settings, now):
                removed[table] += count
                self._metrics.records_pruned.labels(table).inc(count)
                if stop.asked():
                    return Outcome.ABANDONED, f"{stop.reason}: {_summary(removed)}"
                if time.monotonic() > enough:
                    return Outcome.OK, f"{_summary(removed)}; the next round continues"
            return Outcome.OK, _summary(removed)

        return work

    def _failed(self, error: StoreError) -> None:
        self._metrics.store_errors.inc()
        log(logger, logging.ERROR, Action.PRUNE_FAILED, str(error))


def _summary(removed: Mapping[str, int]) -> str:
    """Return the numbers of removed rows, in words.

    >>> _summary({"scores": 1200, "anomalies": 0, "runs": 7})
    'removed 1,200 scores, 7 runs'
    """
    some = ", ".join(f"{count:,} {table}" for table, count in removed.items() if count)
    return f"removed {some or 'nothing'}"
