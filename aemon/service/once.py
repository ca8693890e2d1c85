"""Scoring without a daemon: the same runner, ledger included, once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from prometheus_client import CollectorRegistry

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.records import Job, RunReport
from aemon.service.metrics import Metrics
from aemon.service.monitor import Monitor
from aemon.service.run import Work
from aemon.service.runner import Runner
from aemon.store.store import Store


def score_monitors(monitors: Mapping[str, MonitorSettings], store: Store) -> list[RunReport]:
    """Judge every new record of these monitors; failures included: a report for each run."""

    def work(monitor: Monitor) -> Work:
        return monitor.score_once

    return _run(monitors, store, work)


def score_monitors_again(
    monitors: Mapping[str, MonitorSettings], store: Store, since: datetime | None
) -> list[RunReport]:
    """Judge known records again, from an event time on: a report for each run."""

    def work(monitor: Monitor) -> Work:
        return partial(monitor.score_again, since=since)

    return _run(monitors, store, work)


def _run(
    monitors: Mapping[str, MonitorSettings], store: Store, work: Callable[[Monitor], Work]
) -> list[RunReport]:
    runner = Runner(store, Metrics(CollectorRegistry()), utc_now)
    reports = []
    for name, settings in monitors.items():
        monitor = Monitor(name, settings, store, utc_now)
        unfinished = True
        while unfinished:
            report = runner.run(name, Job.SCORE, work(monitor), settings.score_timeout)
            unfinished = report.unfinished
            reports.append(report)
        monitor.close()
    return reports
