"""What a first detector learns from, and what it leaves out."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.errors import TrainingError
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import FeedbackVerdict, Job
from aemon.run import Run, Stop
from aemon.store import queries
from aemon.store.feedback import add_feedback
from aemon.store.schema.tables import detectors, episodes, runs, scores
from tests import readings
from tests.processes import insert, make_table

ODD = (130, 131, 400)
"""Records of the history that are anomalies."""


def rows(count: int, first: int = 0, odd: tuple[int, ...] = ()):
    for number, ts, flow, pressure, current in readings.rows(count, first=first):
        yield (number, ts, flow + 30 * (number in odd), pressure, current)


def settings_of(path, **more) -> MonitorSettings:
    source = {
        "kind": "sql", "url": f"sqlite:///{path}", "table": "readings", "time": "ts", "key": "id",
    } | more.pop("source", {})  # fmt: skip
    quick = {"steps": 60, "members": 3}
    return MonitorSettings.model_validate(
        {"source": source, "score_every": "1s", "detector": quick} | more
    )


@pytest.fixture
def history(tmp_path):
    """A table that holds 600 records, three of them anomalies, before aemon begins."""
    path = tmp_path / "plant.db"
    make_table(path, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(path, "readings", rows(600, odd=ODD))
    return path


def score(monitor: Monitor) -> Run:
    run = Run()
    monitor.score_once(run, Stop())
    return run


def test_all_records_there_are_teach_and_what_stands_out_is_judged_in_hindsight(
    history, store, clock
):
    settings = settings_of(history)
    trained = train_once("pumps", settings, store, clock)
    assert trained.records == 597
    assert "3 unusual records left out" in trained.sentence
    monitor = Monitor("pumps", settings, store, clock)
    first = score(monitor)
    assert (first.counts.records_scored, first.counts.anomalies) == (0, 0)  # hindsight is no news
    flagged = queries.flagged_records(store, monitor="pumps")
    assert sorted(int(one.record_key) for one in flagged) == list(ODD)
    assert all("flow" in one.reason for one in flagged)
    insert(history, "readings", rows(100, first=600))
    assert score(monitor).counts.records_scored == 100
    monitor.close()
    with store.reading() as connection:
        jobs = connection.execute(sa.select(runs.c.job, runs.c.records_scored)).all()
        assert connection.execute(sa.select(sa.func.count()).select_from(episodes)).scalar() == 2
    assert (Job.HINDSIGHT, 3) in jobs
    overview = queries.overview(store, ["pumps"], clock() - timedelta(days=1))[0]
    assert overview.realised.judged == 100  # the promise is about later records


def test_hindsight_comes_once_also_after_a_restart(history, store, clock):
    settings = settings_of(history)
    train_once("pumps", settings, store, clock)
    for _ in range(2):
        monitor = Monitor("pumps", settings, store, clock)
        score(monitor)
        monitor.close()
    with store.reading() as connection:
        rows_of_job = sa.select(sa.func.count()).where(runs.c.job == Job.HINDSIGHT)
        assert connection.execute(rows_of_job).scalar() == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(scores)).scalar() == 3


def test_with_min_records_the_rest_of_a_history_is_judged(history, store, clock):
    settings = settings_of(history, min_records=100)
    assert train_once("pumps", settings, store, clock).records == 100
    monitor = Monitor("pumps", settings, store, clock)
    assert score(monitor).counts.records_scored == 500
    monitor.close()


def test_entities_have_twenty_records_each(tmp_path, store, clock):
    path = tmp_path / "plant.db"
    make_table(path, "readings", ["ts TEXT", *readings.COLUMNS, "pump TEXT"])

    def of_pumps(count: int, first: int = 0):
        return [(*row, f"pump-{row[0] % 40}") for row in readings.rows(count, first=first)]

    insert(path, "readings", of_pumps(250))
    settings = settings_of(path, source={"entity": "pump"})
    with pytest.raises(TrainingError, match="250 of 800 records"):
        train_once("pumps", settings, store, clock)
    insert(path, "readings", of_pumps(600, first=250))
    assert train_once("pumps", settings, store, clock).records == 850


def test_a_detector_that_was_wrong_is_replaced_by_one_that_learns_what_it_flagged(
    history, store, clock
):
    settings = settings_of(history, min_records=200)
    train_once("pumps", settings, store, clock)
    insert(history, "readings", [
        (n, ts, flow + 5, pressure, current) for n, ts, flow, pressure, current
        in readings.rows(600, first=600)
    ])  # fmt: skip
    monitor = Monitor("pumps", settings, store, clock)
    assert score(monitor).counts.anomalies > 500
    again = train_once("pumps", settings, store, clock)
    assert "most records were flagged, so they were not left out" in again.sentence
    insert(history, "readings", [
        (n, ts, flow + 5, pressure, current) for n, ts, flow, pressure, current
        in readings.rows(200, first=1200)
    ])  # fmt: skip
    assert score(monitor).counts.anomalies < 20
    monitor.close()


def test_a_false_alarm_excuses_its_like_and_moves_no_threshold(history, store, clock):
    settings = settings_of(history, threshold={"false_alarm_rate": 0.01})
    train_once("pumps", settings, store, clock)
    later = {610: 1.5, 640: 1.6, 670: 1.4, 620: -1.5, 650: 6.0}
    insert(history, "readings", [
        (n, ts, flow + later.get(n, 0.0), pressure, current) for n, ts, flow, pressure, current
        in readings.rows(60, first=600)
    ])  # fmt: skip
    monitor = Monitor("pumps", settings, store, clock)
    score(monitor)
    flagged = {int(one.record_key) for one in queries.flagged_records(store, monitor="pumps")}
    assert {610, 620, 640, 650} <= flagged
    add_feedback(store, "pumps", FeedbackVerdict.FALSE_ALARM, record_key="610")
    insert(history, "readings", [
        (n, ts, flow + later.get(n, 0.0), pressure, current) for n, ts, flow, pressure, current
        in readings.rows(60, first=660)
    ])  # fmt: skip
    run = score(monitor)
    assert run.counts.suppressed == {"excused": 1}
    train_once("pumps", settings, store, clock)
    with store.reading() as connection:
        manifests = connection.execute(sa.select(detectors.c.manifest)).scalars().all()
    assert all(one["lines"]["drawn"] == one["lines"]["without_feedback"] for one in manifests)
    monitor.close()
