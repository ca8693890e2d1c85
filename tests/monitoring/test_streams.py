"""A monitor of a stream: its records are kept as they arrive, and judged from the inbox."""

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from aemon.config.schema import MonitorSettings
from aemon.daemon.runner import Runner
from aemon.lifecycle.training_run import train_once
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome
from aemon.store.inbox.kept_records import history_count
from aemon.store.schema.junk import _log_once
from aemon.store.schema.tables import runs, scores, watermarks
from tests import readings
from tests.readings import LEARNED
from tests.streams import Said

MINUTE = timedelta(minutes=1)


@pytest.fixture
def stream(monkeypatch):
    stream = Said()
    monkeypatch.setattr("aemon.sources.host.source.open_host", lambda *_: stream)
    return stream


@pytest.fixture
def settings():
    return MonitorSettings.model_validate(
        {
            "source": {"kind": "host"},
            "score_every": "1m",
            "min_records": LEARNED,
            "detector": {"steps": 60, "members": 1},
            "threshold": {"false_alarm_rate": 0.01},
        }
    )


@pytest.fixture
def monitor(settings, stream, store, clock):
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


@pytest.fixture
def metrics(settings):
    metrics = Metrics(CollectorRegistry())
    metrics.add_monitor("pumps", settings)
    return metrics


@pytest.fixture
def runner(store, metrics, clock):
    return Runner(store, metrics, clock)


def say(stream, count, *, first=0, entity=""):
    for key, time_, flow, pressure, current in readings.rows(count, first=first):
        stream.say(key, entity, time_, flow=flow, pressure=pressure, current=current)


def tick(runner, monitor):
    return runner.run("pumps", Job.SCORE, monitor.score_once, MINUTE)


def rejected(metrics, reason) -> float | None:
    labels = {"monitor": "pumps", "reason": reason}
    return metrics.registry.get_sample_value("aemon_records_rejected_total", labels)


def test_two_entities_with_the_same_keys_are_both_judged(
    monitor, runner, stream, settings, store, clock
):
    say(stream, LEARNED)
    assert tick(runner, monitor).outcome is Outcome.COLLECTING
    train_once("pumps", settings, store, clock)
    for entity in ("north", "south"):
        say(stream, 5, first=LEARNED, entity=entity)
    report = tick(runner, monitor)
    assert (report.outcome, report.counts.records_scored) == (Outcome.OK, 10)
    assert report.counts.rejected == {}
    with store.reading() as connection:
        judged = connection.execute(sa.select(scores.c.entity, scores.c.record_key)).all()
    assert sorted(map(tuple, judged)) == sorted(
        (entity, str(key)) for entity in ("north", "south") for key in range(LEARNED, LEARNED + 5)
    )


def test_rejected_records_are_counted_once_also_before_there_is_a_detector(
    monitor, runner, metrics, stream, store, settings, clock
):
    say(stream, LEARNED)
    stream.say("1", time="yesterday", flow=1.0)
    assert tick(runner, monitor).counts.rejected == {"no_time": 1}
    train_once("pumps", settings, store, clock)
    stream.say("2", time="yesterday", flow=1.0)
    say(stream, 3, first=LEARNED - 1)  # one of them again
    report = tick(runner, monitor)
    assert report.counts.rejected == {"duplicate_key": 1, "no_time": 1}
    assert (report.counts.records_read, report.counts.records_scored) == (4, 2)
    assert tick(runner, monitor).outcome is Outcome.NO_DATA
    # Metrics of records begin with the first detector, whatever the source; the ledger knows all.
    assert rejected(metrics, "no_time") == 1
    assert rejected(metrics, "duplicate_key") == 1
    with store.reading() as connection:
        ledger = connection.execute(sa.select(sa.func.sum(runs.c.records_rejected))).scalar()
        day = connection.execute(sa.text("SELECT * FROM coverage")).mappings().one()
    assert ledger == 3
    assert (day["records_rejected"], day["records_unaccounted"]) == (3, 0)


@pytest.mark.parametrize("reason", ["changed_record", "refused", "lost"])
def test_every_reason_begins_at_zero(metrics, reason):
    assert rejected(metrics, reason) == 0


def test_a_watched_monitor_keeps_records_between_its_runs(monitor, stream, store):
    monitor.listen()
    say(stream, 5)
    deadline = time.monotonic() + 20
    while history_count(store, "pumps") < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert history_count(store, "pumps") == 5
    say(stream, 2, first=5)
    monitor.retire()
    assert history_count(store, "pumps") == 7
    assert stream.closed
    assert not [one for one in threading.enumerate() if one.name == "inbox:pumps"]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_position_that_aemon_did_not_write_is_found_again_and_told_once(
    monitor, runner, stream, settings, store, clock, caplog
):
    say(stream, LEARNED)
    tick(runner, monitor)
    train_once("pumps", settings, store, clock)
    first = LEARNED
    _log_once.cache_clear()
    for junk in ("", "{}", "soon", "9" * 30, "4000000", "-1"):
        say(stream, 2, first=first)
        assert tick(runner, monitor).counts.records_scored == 2
        with store.writing() as connection:
            connection.execute(sa.update(watermarks).values(position=junk))
        caplog.clear()
        assert [tick(runner, monitor).outcome for _ in range(2)] == [Outcome.NO_DATA] * 2
        assert caplog.text.count("an order of arrival") == 1
        first += 2
    with store.writing() as connection:
        values = {"position": "late", "record_key": "nobody"}
        connection.execute(sa.update(watermarks).values(values))
    say(stream, 2, first=first)
    assert tick(runner, monitor).outcome is Outcome.OK
    with store.reading() as connection:
        judged = connection.execute(sa.select(scores.c.record_key)).scalars().all()
    assert len(judged) == len(set(judged))  # all that is kept was read again
    assert {str(LEARNED + n) for n in range(14)} <= set(judged)
