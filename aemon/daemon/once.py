"""Scoring without a daemon: the same runner, ledger included, once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.daemon.runner import Runner
from aemon.errors import AemonError
from aemon.lifecycle.training_run import Trained, train_once
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome
from aemon.run import Run, Work
from aemon.run_report import RunReport
from aemon.store.ledger import save_run
from aemon.store.store import Store

LONGEST_AGAIN = timedelta(days=7)
"""For judging all of a history again, which nobody waits for."""


def score_monitors(monitors: Mapping[str, MonitorSettings], store: Store) -> list[RunReport]:
    """Judge every new record of these monitors; failures included: a report for each run."""

    def work(monitor: Monitor) -> Work:
        return monitor.score_once

    return _run(monitors, store, work, None)


def score_monitors_again(
    monitors: Mapping[str, MonitorSettings], store: Store, since: datetime | None
) -> list[RunReport]:
    """Judge known records again, from an event time on: a report for each run."""

    def work(monitor: Monitor) -> Work:
        return partial(monitor.score_again, since=since)

    return _run(monitors, store, work, LONGEST_AGAIN)


def train_monitor(name: str, settings: MonitorSettings, store: Store) -> Trained:
    """Train a monitor's detector here and now, and write it into the ledger, failed or not.

    Raises:
        AemonError: as `train_once`.
    """
    run, began = Run(), utc_now()

    def note(outcome: Outcome, reason: str) -> None:
        save_run(store, run.report(name, Job.TRAIN, outcome, reason, (began, utc_now())))

    try:
        trained = train_once(name, settings, store, utc_now)
    except AemonError as error:
        note(Outcome.FAILED, str(error))
        raise
    run.count(records_read=trained.records)
    run.detector_id, run.threshold_id = trained.id, trained.threshold_id
    note(Outcome.OK, trained.sentence)
    return trained


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
