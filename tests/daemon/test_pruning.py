"""The prune job: what it removes is in the ledger and the metrics; what fails is contained."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from aemon.config.schema import MonitorSettings
from aemon.config.service_settings import RetentionSettings
from aemon.daemon import pruning
from aemon.daemon.pruning import Retention
from aemon.daemon.runner import Runner
from aemon.errors import StoreError
from aemon.metrics.metrics import Metrics
from aemon.metrics.starting_counts import PRUNED
from aemon.records import Job, Outcome
from aemon.run_report import RunReport
from aemon.sources.host.settings import HostSource
from aemon.store.ledger import note_progress, save_run
from aemon.store.retention import ROWS_AT_ONCE, TABLES
from aemon.store.schema.tables import runs, scores

DAY = timedelta(days=1)


@pytest.fixture
def metrics():
    metrics = Metrics(CollectorRegistry())
    settings = MonitorSettings(source=HostSource(), score_every=timedelta(seconds=30))
    metrics.add_monitor("pumps", settings)
    return metrics


@pytest.fixture
def runner(store, metrics, clock):
    return Runner(store, metrics, clock)


@pytest.fixture
def job(store, runner, metrics, clock, settings: MonitorSettings):
    job = Retention(store, runner, metrics, {"pumps": settings}, RetentionSettings(), clock)
    job._doubt = lambda _apart: ""
    return job


def add_scores(store, clock, count, *, monitor="pumps", age=100 * DAY):
    with store.writing() as connection:
        connection.execute(
            sa.insert(scores),
            [
                {
                    "monitor": monitor, "record_key": str(n), "entity": "", "revision": 1,
                    "event_time": clock() - age, "scored_at": clock() - age, "verdict": "normal",
                    "detector_id": 1, "threshold_id": 1, "late": False, "imputed_share": 0.0,
                }
                for n in range(count)
            ],
        )  # fmt: skip


def report(monitor, outcome, started_at):
    return RunReport(
        monitor=monitor,
        job=Job.SCORE,
        outcome=outcome,
        started_at=started_at,
        finished_at=started_at,
        reason="old",
    )


def ledger(store) -> list[tuple[str, str, str, str]]:
    query = sa.select(runs.c.monitor, runs.c.job, runs.c.outcome, runs.c.reason)
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(runs.c.id))]


def pruned(metrics, table) -> float | None:
    return metrics.registry.get_sample_value("aemon_records_pruned_total", {"table": table})


def test_the_metric_has_what_is_removed():
    assert TABLES == PRUNED


def test_what_was_removed_is_in_the_ledger_and_the_metrics(job, store, metrics, clock):
    store.add_monitors(["gone", "quiet"])
    add_scores(store, clock, 3)
    add_scores(store, clock, 2, monitor="gone")
    add_scores(store, clock, 2, monitor="quiet", age=DAY)
    for monitor in ("pumps", "gone", "gone"):
        save_run(store, report(monitor, Outcome.OK, clock() - 100 * DAY))
    save_run(store, report("quiet", Outcome.OK, clock()))
    job.round()
    assert ledger(store) == [
        ("quiet", "score", "ok", "old"),
        ("gone", "prune", "ok", "removed 2 scores, 2 runs"),
        ("pumps", "prune", "ok", "removed 3 scores, 1 runs"),
    ]
    assert (pruned(metrics, "scores"), pruned(metrics, "runs")) == (5, 3)
    assert (pruned(metrics, "anomalies"), pruned(metrics, "artifacts")) == (0, 0)


def test_a_round_without_work_leaves_no_row(job, store, clock):
    add_scores(store, clock, 2, age=DAY)
    job.round()
    job.round()
    assert ledger(store) == []


def test_a_store_that_fails_at_the_search_is_counted_and_the_job_lives(
    job, store, metrics, clock, monkeypatch
):
    add_scores(store, clock, 1)

    def away(*_):
        raise StoreError("the store is away")

    for name in ("due_monitors", "drop_empty_partitions"):
        with monkeypatch.context() as patched:
            patched.setattr(pruning.retention, name, away)
            job.round()
    with monkeypatch.context() as patched:
        patched.setattr(pruning, "end_lost_runs", away)
        job.end_lost_runs()
    assert metrics.registry.get_sample_value("aemon_store_errors_total") == 3


def test_a_removal_that_fails_is_a_failed_run(job, store, metrics, clock, monkeypatch):
    def away(*_):
        raise StoreError("disk full")

    add_scores(store, clock, 1)
    monkeypatch.setattr(pruning.retention, "removals", away)
    job.round()
    assert metrics.registry.get_sample_value("aemon_store_errors_total") == 1
    labels = {"monitor": "pumps", "run": "prune", "outcome": "failed"}
    assert metrics.registry.get_sample_value("aemon_runs_total", labels) == 1
    # A run that has failed at the store is written with the next one that has not.
    monkeypatch.undo()
    clock.forward(timedelta(minutes=5))
    job.round()
    assert [row[1:] for row in ledger(store)] == [
        ("prune", "failed", "disk full"),
        ("prune", "ok", "removed 1 scores"),
    ]


def test_a_failure_of_one_monitor_does_not_keep_others_from_their_turn(
    job, store, clock, monkeypatch
):
    store.add_monitors(["broken"])
    add_scores(store, clock, 1)
    add_scores(store, clock, 1, monitor="broken")
    removals = pruning.retention.removals

    def failing(store, monitor, *others):
        if monitor == "broken":
            raise ZeroDivisionError("a bug")
        return removals(store, monitor, *others)

    monkeypatch.setattr(pruning.retention, "removals", failing)
    job.round()
    assert [(row[0], row[2]) for row in ledger(store)] == [("broken", "failed"), ("pumps", "ok")]


def test_a_stopping_daemon_ends_it_between_two_batches(job, runner, store, clock, monkeypatch):
    add_scores(store, clock, 3 * ROWS_AT_ONCE)
    removals = pruning.retention.removals

    def stopped(*given):
        for number, removed in enumerate(removals(*given)):
            if number == 1:
                runner.refuse("aemon is stopping")
            yield removed

    monkeypatch.setattr(pruning.retention, "removals", stopped)
    job.round()
    ((_, _, outcome, reason),) = ledger(store)
    assert outcome == "abandoned"
    assert reason == f"aemon is stopping: removed {2 * ROWS_AT_ONCE:,} scores"


def test_a_long_removal_is_done_in_several_rounds(job, store, clock, monkeypatch):
    add_scores(store, clock, ROWS_AT_ONCE + 1)
    monkeypatch.setattr(pruning, "ENOUGH_SECONDS", 0)
    for _ in range(3):
        job.round()
    assert [row[3] for row in ledger(store)] == [
        f"removed {ROWS_AT_ONCE} scores; the next round continues",
        "removed 1 scores; the next round continues",
    ]


def test_runs_that_were_lost_are_ended(job, store, clock, settings):
    longest = max(settings.score_timeout, settings.train_timeout)
    for age in (2 * longest + timedelta(seconds=1), 2 * longest - timedelta(seconds=1)):
        with store.writing() as connection:
            note_progress(connection, None, report("pumps", Outcome.RUNNING, clock() - age))
    job.round()
    assert [row[2] for row in ledger(store)] == ["abandoned", "running"]
    clock.forward(timedelta(seconds=2))
    job.end_lost_runs()
    assert [row[2] for row in ledger(store)] == ["abandoned", "abandoned"]


def test_while_the_clock_is_in_doubt_nothing_is_removed_and_why_is_told_once(
    job, store, metrics, clock, caplog
):
    add_scores(store, clock, 3)
    job._doubt = lambda _apart: "the clock was set ahead"
    job.round()
    job.round()
    held = [one for one in caplog.records if one.action == "prune.held"]
    assert [one.message for one in held] == ["the clock was set ahead"]
    assert not pruned(metrics, "scores")
    assert ledger(store) == []
    job._doubt = lambda _apart: ""
    job.round()
    assert pruned(metrics, "scores") == 3
