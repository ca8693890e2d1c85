"""The runner: whatever work does, there is a ledger row and the daemon lives."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from aemon.config.schema import MonitorSettings
from aemon.daemon import store_backoff
from aemon.daemon.runner import MOST_HANGING, Runner
from aemon.errors import (
    RefusedError,
    Remedy,
    SourceConfigError,
    SourceError,
    StoreError,
    TrainingError,
)
from aemon.metrics.metrics import Metrics
from aemon.records import Job, Outcome
from aemon.run import AbandonedError
from aemon.sources.host.settings import HostSource
from aemon.store.schema.tables import runs
from aemon.store.store import StaleWatermarkError

SOON = timedelta(seconds=5)
AT_ONCE = timedelta(milliseconds=50)


@pytest.fixture
def metrics():
    metrics = Metrics(CollectorRegistry())
    settings = MonitorSettings(source=HostSource(), score_every=timedelta(seconds=30))
    metrics.add_monitor("pumps", settings)
    return metrics


@pytest.fixture
def runner(store, metrics, clock):
    return Runner(store, metrics, clock)


def ledger(store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        rows = connection.execute(sa.select(runs.c.outcome, runs.c.reason).order_by(runs.c.id))
        return [tuple(row) for row in rows]


def failing(error: Exception):
    def work(tally, stop):
        raise error

    return work


def test_a_good_run_is_counted_and_written(runner, metrics, store):
    def work(tally, stop):
        tally.count(records_read=7, records_scored=7)
        return Outcome.OK, ""

    report = runner.run("pumps", Job.SCORE, work, SOON)
    assert report.counts.records_scored == 7
    assert ledger(store) == [("ok", "")]
    sample = metrics.registry.get_sample_value
    assert sample("aemon_records_scored_total", {"monitor": "pumps"}) == 7


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (SourceError("the table is gone", todo="bring it back"), "failed", "bring it back"),
        (AbandonedError("aemon is stopping"), "abandoned", "stopping"),
        (ZeroDivisionError("division by zero"), "failed", "unexpected ZeroDivisionError"),
    ],
)
def test_a_failing_run_is_contained_with_its_reason(runner, store, error, outcome, reason):
    report = runner.run("pumps", Job.SCORE, failing(error), SOON)
    assert report.outcome == outcome
    assert reason in ledger(store)[0][1]


def test_source_and_store_errors_are_counted_apart(runner, metrics):
    runner.run("pumps", Job.SCORE, failing(SourceError("gone")), SOON)
    runner.run("pumps", Job.SCORE, failing(StoreError("full")), SOON)
    sample = metrics.registry.get_sample_value
    assert sample("aemon_source_errors_total", {"monitor": "pumps", "reason": "unreachable"}) == 1
    assert sample("aemon_store_errors_total") == 1


def test_a_hanging_run_times_out_and_may_not_write_when_it_comes_back(runner, store):
    release, came_back = threading.Event(), []

    def hang(tally, stop):
        release.wait(10)
        came_back.append(stop.asked())
        return Outcome.OK, ""

    report = runner.run("pumps", Job.SCORE, hang, AT_ONCE)
    assert report.outcome is Outcome.TIMED_OUT
    assert ledger(store) == [("timed_out", "not done after 0.05 s")]
    release.set()
    runner.refuse("over")
    assert runner.stop(5)
    for thread in threading.enumerate():
        if thread.name == "score:pumps":
            thread.join(5)
    assert came_back == [True]


def test_hanging_runs_of_one_monitor_do_not_pile_up(runner, store):
    release = threading.Event()

    def hang(tally, stop):
        release.wait(10)
        return Outcome.OK, ""

    for _ in range(MOST_HANGING):
        runner.run("pumps", Job.SCORE, hang, AT_ONCE)
    refused = runner.run("pumps", Job.SCORE, hang, AT_ONCE)
    assert refused.outcome is Outcome.SKIPPED
    assert "hang" in refused.reason
    store.add_monitors(["other"])
    assert runner.run("other", Job.SCORE, lambda *_: (Outcome.OK, ""), SOON).outcome is Outcome.OK
    release.set()
    for thread in threading.enumerate():
        if thread.name == "score:pumps":
            thread.join(5)
    assert runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, ""), SOON).outcome is Outcome.OK


def test_a_stopping_runner_asks_runs_to_end_and_takes_no_new_ones(runner, store):
    running = threading.Event()

    def work(tally, stop):
        running.set()
        while not stop.asked():
            threading.Event().wait(0.01)
        raise AbandonedError(stop.reason)

    thread = threading.Thread(target=runner.run, args=("pumps", Job.SCORE, work, SOON))
    thread.start()
    running.wait(5)
    runner.refuse("aemon is stopping")
    assert runner.stop(5)
    thread.join(5)
    assert ledger(store) == [("abandoned", "aemon is stopping")]
    late = runner.run("pumps", Job.SCORE, work, SOON)
    assert (late.outcome, late.reason) == (Outcome.SKIPPED, "aemon is stopping")


def test_a_ledger_that_cannot_be_written_stops_nothing(runner, metrics, store, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(store_backoff, "save_run", full)
    assert runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, ""), SOON).outcome is Outcome.OK
    assert metrics.registry.get_sample_value("aemon_store_errors_total") == 1


def test_a_run_that_does_not_end_is_given_up_and_nobody_waits_for_it(runner, store):
    """Its timeout is hours away, but a stopping daemon has seconds."""
    running, release = threading.Event(), threading.Event()

    def hang(tally, stop):
        running.set()
        release.wait(30)
        return Outcome.OK, ""

    hours = timedelta(hours=2)
    waiting = threading.Thread(target=runner.run, args=("pumps", Job.SCORE, hang, hours))
    waiting.start()
    running.wait(5)
    runner.refuse("aemon is stopping")
    assert not runner.stop(0.1)
    waiting.join(5)
    assert not waiting.is_alive()
    assert ledger(store) == [("abandoned", "aemon is stopping")]
    release.set()


def test_a_row_the_store_refuses_for_good_stands_in_nobodys_way(
    runner, metrics, store, monkeypatch
):
    """The store is well: no outage, and the rows behind it are written."""
    real = store_backoff.save_run

    def refuse_first(store, report, run_id):
        if report.reason == "odd":
            raise RefusedError("the store refuses rows")
        real(store, report, run_id)

    monkeypatch.setattr(store_backoff, "save_run", refuse_first)
    runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, "odd"), SOON)
    runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, "plain"), SOON)
    assert ledger(store) == [("ok", "plain")]
    assert metrics.registry.get_sample_value("aemon_store_up") == 1


def test_a_reason_with_a_nul_is_written(runner, store):
    runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, "a\x00b"), SOON)
    assert ledger(store) == [("ok", "a\u2400b")]


def test_a_reason_that_is_no_unicode_holds_up_no_other(runner, store):
    runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, "caf\udce9.csv"), SOON)
    runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, "plain"), SOON)
    assert ledger(store) == [("ok", "caf\\udce9.csv"), ("ok", "plain")]


@pytest.mark.parametrize(
    ("error", "outcome", "remedy"),
    [
        (StaleWatermarkError("first"), Outcome.ABANDONED, Remedy.SKIP),
        (AbandonedError("asked"), Outcome.ABANDONED, Remedy.SKIP),
        (StoreError("away"), Outcome.FAILED, Remedy.RETRY),
        (TrainingError("312 of 1000 records"), Outcome.FAILED, Remedy.WAIT),
        (SourceConfigError("no such table"), Outcome.FAILED, Remedy.ASK),
    ],
)
def test_the_class_of_an_error_says_how_a_run_ended_and_what_to_do(runner, error, outcome, remedy):
    def fail(_run, _stop):
        raise error

    report = runner.run("pumps", Job.TRAIN, fail, SOON)
    assert (report.outcome, report.remedy) == (outcome, remedy)


def test_a_run_that_ended_well_asks_for_nothing(runner):
    assert runner.run("pumps", Job.SCORE, lambda *_: (Outcome.OK, ""), SOON).remedy is None


def test_a_run_for_which_there_is_no_thread_is_told_and_left_to_the_next_tick(runner, monkeypatch):
    def no_thread(_thread):
        raise RuntimeError("can't start new thread")

    def done(_run, _stop):
        return Outcome.OK, ""

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        report = runner.run("pumps", Job.SCORE, done, SOON)
    assert report.outcome == Outcome.SKIPPED
    assert "can't start new thread" in report.reason
    assert not runner.running("pumps")
    assert runner.run("pumps", Job.SCORE, done, SOON).outcome == Outcome.OK
