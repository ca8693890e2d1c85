"""Scores monitors once without a daemon, with the same runner and ledger as the daemon."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.daemon.runner import Runner
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.records import Job
from aemon.run import Work
from aemon.run_report import RunReport
from aemon.store.store import Store

LONGEST_AGAIN = timedelta(days=7)
"""Timeout for judging a whole history again; long, because no other run has to wait."""


def score_monitors(monitors: Mapping[str, MonitorSettings], store: Store) -> list[RunReport]:
    """Judge all new records of these monitors; return a report for each run, failed or not."""

    def work(monitor: Monitor) -> Work:
        return monitor.score_once

    return _run(monitors, store, work, None)


def score_monitors_again(
    monitors: Mapping[str, MonitorSettings], store: Store, since: datetime | None
) -> list[RunReport]:
    """Judge known records again.

    Args:
        monitors: the monitors, by name.
        store: the results database.
        since: only records from this event time on; None for all records.

    Returns:
        A report for each run, failed or not.
    """

    def work(monitor: Monitor) -> Work:
        return partial(monitor.score_again, since=since)

    return _run(monitors, store, work, LONGEST_AGAIN)


def _run(
    monitors: Mapping[str, MonitorSettings],
    store: Store,
    work: Callable[[Monitor], Work],
    longest: timedelta | None,
) -> list[RunReport]:
    runner = Runner(store, Metrics(CollectorRegistry()), utc_now)
    reports = []
    for name, settings in monitors.items():
        monitor = Monitor(name, settings, store, utc_now)
        unfinished = True
        while unfinished:
            report = runner.run(name, Job.SCORE, work(monitor), longest or settings.score_timeout)
            unfinished = report.counts.unfinished
            reports.append(report)
        monitor.close()
    return reports
