"""What a monitor remembers of its records: it never keeps a detector from being replaced for ever."""

from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.detection.drift.level_shift import Shift
from aemon.frame import naive_utc
from aemon.lifecycle import upkeep
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.run import Run, Stop
from aemon.store.detectors import active_detector
from aemon.store.drifts import Drift, DriftKind
from aemon.store.moved_thresholds import newest_scores
from aemon.store.schema.tables import anomalies, live_states, scores
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

DAY = timedelta(days=1)


def begin(settings, store, clock, database, **life) -> Monitor:
    """A monitor that has judged some records."""
    settings = settings.model_copy(update={"life": LifecycleSettings(trial=False, **life)})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    more(monitor, database, 50, LEARNED)
    return monitor


def more(monitor, database, count, first) -> Run:
    insert(database, "readings", readings.rows(count, first=first))
    tally = Run()
    monitor.score_once(tally, Stop())
    return tally


def stretch(monitor, *, ended: timedelta) -> Shift:
    """A stretch of flagged records of another entity, that ended before the newest record."""
    newest = monitor._active_detector.memory.times()[-1].item().replace(tzinfo=UTC)
    until = newest - ended
    return Shift(level=20, since=until - 2 * DAY, until=until, records=100, flagged=100)


def remember(monitor, *, drifts=(), **life):
    memory = monitor._active_detector.memory
    memory.life = replace(memory.life, **life)
    memory.drifts = list(drifts)


def test_an_entity_that_vanished_amid_a_stretch_holds_up_no_training(
    settings, store, clock, database
):
    monitor = begin(settings, store, clock, database)
    clock.forward(2 * DAY)
    remember(monitor, shifts={"seen of late": stretch(monitor, ended=timedelta(hours=1))})
    assert monitor.wants_training(clock()) == ""
    remember(monitor, shifts={"gone": stretch(monitor, ended=2 * DAY)})
    assert monitor.wants_training(clock()).startswith("schedule")
    monitor.close()


def shift(monitor) -> Drift:
    since = monitor._active_detector.memory.times()[0].item().replace(tzinfo=UTC)
    return Drift(kind=DriftKind.SHIFT, started_at=since, measure=900.0, reason="a new level")


def test_a_new_level_that_is_never_learned_asks_for_no_training(settings, store, clock, database):
    """Every training would leave its records out, and leave it as it is."""
    never = begin(settings, store, clock, database, learn_shift_after=None)
    remember(never, drifts=[shift(never)], since_drift=10_000)
    assert never.wants_training(clock()) == ""
    never.close()


def test_a_new_level_is_learned_by_the_schedule_where_drift_asks_for_none(
    settings, store, clock, database
):
    monitor = begin(settings, store, clock, database, retrain_on_drift=False)
    clock.forward(2 * DAY)
    now = stretch(monitor, ended=timedelta(0))
    remember(monitor, shifts={"": now})
    assert monitor.wants_training(clock()) == "", "it is not decided yet"
    remember(monitor, drifts=[shift(monitor)], shifts={"": now}, since_drift=10_000)
    assert monitor.wants_training(clock()).startswith("schedule")
    monitor.close()


def test_a_line_that_had_sunk_comes_back_though_all_is_flagged(settings, store, clock, database):
    monitor = begin(settings, store, clock, database, learn_shift_after=None)
    # Given a line that was drawn from scores far below those of the training
    active = monitor._active_detector.active
    line = active.trained.pooled
    pooled = replace(
        line, value=line.value / 1e3, critical_value=line.critical_value / 1e3,
        kept=line.kept / 1e3, tail=replace(line.tail, start=line.tail.start / 1e3),
    )  # fmt: skip
    sunk = replace(active.trained, pooled=pooled)
    upkeep.replace_thresholds(store, active, sunk, monitor.settings, "a long calm")
    # When records come that are as those learned from
    first = more(monitor, database, 400, LEARNED + 50)
    assert len(first.counts.exceedances) == 400
    # Then they are flagged no longer than it takes to see that they are many
    more(monitor, database, 400, LEARNED + 450)
    assert active_detector(store, "pumps").threshold > active.trained.pooled.value / 10
    assert len(more(monitor, database, 100, LEARNED + 850).counts.exceedances) < 20
    monitor.close()


def test_what_another_version_remembered_is_begun_anew(settings, store, clock, database):
    monitor = begin(settings, store, clock, database)
    monitor.close()
    with store.writing() as connection:
        connection.execute(sa.update(live_states).values(state={"of": "old"}))
    again = Monitor("pumps", monitor.settings, store, clock)
    assert more(again, database, 10, LEARNED + 50).counts.records_scored == 10
    assert again._active_detector.memory.life.records == 10
    again.close()


def test_columns_are_held_against_their_reference_only_when_records_came(
    settings, store, clock, database, monkeypatch
):
    monitor = begin(settings, store, clock, database)
    memory, asked = monitor._active_detector.memory, []
    life = type(memory.life)
    worked_out = life.column_drift
    monkeypatch.setattr(
        life, "column_drift", lambda self, found: asked.append(1) or worked_out(self, found)
    )
    for _ in range(3):
        monitor.score_once(Run(), Stop())
    assert asked == []
    more(monitor, database, 10, LEARNED + 50)
    assert asked == [1]
    assert np.datetime64(naive_utc(readings.START)) < memory.times()[-1]
    monitor.close()


def test_a_new_detector_is_not_looked_for_among_all_scores_there_are(
    settings, store, clock, database
):
    # Given many scores, none by the detector that begins to judge
    begin(settings, store, clock, database).close()
    more_scores = {
        "monitor": "pumps", "entity": "", "revision": 1, "verdict": "normal", "score": 1.0,
        "scored_at": clock(), "detector_id": 1, "threshold_id": 1, "late": False,
        "imputed_share": 0.0,
    }  # fmt: skip
    with store.writing() as connection:
        store.partitions.make(connection, np.array([naive_utc(readings.START)]), clock())
        times = (readings.START + timedelta(minutes=number) for number in range(20_000))
        rows = [{**more_scores, "record_key": f"{at}", "event_time": at} for at in times]
        connection.execute(sa.insert(scores), rows)
    if store.engine.dialect.name != "sqlite":
        return
    stored = active_detector(store, "pumps")
    assert len(newest_scores(store, stored, 30)) == 30
    steps = []
    with store.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        raw.set_progress_handler(lambda: steps.append(1), 100)
    assert newest_scores(store, replace(stored, id=99), 30) == []
    raw.set_progress_handler(None, 0)
    assert len(steps) < 100


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("trained", [False, True])
def test_a_frozen_sensor_is_flagged_across_a_restart_and_a_training(
    settings, store, clock, database, trained
):
    monitor = begin(settings, store, clock, database)
    most = dict(monitor._active_detector.active.detector.feature_map.limits)["flow"]

    def stands_still(monitor, count, first):
        rows = [(row[0], row[1], 5.123456, *row[3:]) for row in readings.rows(count, first=first)]
        insert(database, "readings", rows)
        monitor.score_once(Run(), Stop())

    stands_still(monitor, most, LEARNED + 50)
    monitor.close()
    if trained:
        train_once("pumps", monitor.settings, store, clock)
    again = Monitor("pumps", monitor.settings, store, clock)
    stands_still(again, 2, LEARNED + 50 + most)
    again.close()
    with store.reading() as connection:
        query = sa.select(anomalies.c.reason).order_by(sa.cast(anomalies.c.record_key, sa.Integer))
        reasons = connection.scalars(query).all()
    told = [f"flow has stood still at 5.123456 for {most + more} records" for more in (1, 2)]
    assert all(one in reason for one, reason in zip(told, reasons[-2:], strict=True))
