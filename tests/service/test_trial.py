"""A detector in the shadow judges beside the active one, and a written rule decides."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.schema import LifeSettings
from aemon.records import DetectorState, Outcome
from aemon.service.monitor import Monitor
from aemon.service.run import Stop, Tally
from aemon.service.training import train_once
from aemon.store import succession
from aemon.store.detectors import detector_rows, judging_detectors
from aemon.store.tables import detectors, feedback, scores, trial_verdicts
from tests import readings
from tests.processes import insert
from tests.service.conftest import LEARNED

TRIAL = 100


@pytest.fixture
def settings(settings):
    life = LifeSettings(trial_records=TRIAL, trial_longest=timedelta(hours=6))
    return settings.model_copy(update={"life": life})


@pytest.fixture
def monitor(settings, store, clock, database):
    """A monitor that has judged as many records as it learned from."""
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    insert(database, "readings", readings.rows(LEARNED, first=LEARNED))
    score(monitor)
    yield monitor
    monitor.close()


def score(monitor) -> Tally:
    tally = Tally()
    outcome, _ = monitor.score_once(tally, Stop())
    assert outcome in {Outcome.OK, Outcome.NO_DATA}
    return tally


def states(store) -> list[str]:
    return [row["state"] for row in detector_rows(store, "pumps")]


def more(database, count, first, *, factor=1.0):
    rows = [
        (number, time, flow * factor, *rest)
        for number, time, flow, *rest in readings.rows(count, first=first)
    ]
    insert(database, "readings", rows)


def test_it_judges_beside_the_active_one_and_then_takes_its_place(
    monitor, settings, store, clock, database
):
    # Given a second detector, trained while the first goes on judging
    trained = train_once("pumps", settings, store, clock, why="schedule: old", trial=True)
    assert trained.on_trial
    assert states(store) == ["active", "shadow"]
    # When it has judged some of the records its trial takes
    more(database, TRIAL - 1, 2 * LEARNED)
    assert score(monitor).detector_id == 1
    assert states(store) == ["active", "shadow"]
    trial = succession.find_trial(store, trained.id)
    assert trial.records == TRIAL - 1
    # Then one more decides, and the next record is judged by it
    more(database, 1, 3 * LEARNED)
    score(monitor)
    assert states(store) == ["retired", "active"]
    assert detector_rows(store, "pumps")[1]["state_reason"].startswith("promoted: of 100 records")
    more(database, 1, 3 * LEARNED + 1)
    assert score(monitor).detector_id == 2
    with store.reading() as connection:
        judged = connection.execute(
            sa.select(scores.c.detector_id, sa.func.count()).group_by(scores.c.detector_id)
        ).all()
    assert dict(map(tuple, judged)) == {1: LEARNED + TRIAL, 2: 1}


def test_what_either_flags_is_written_down(monitor, settings, store, clock, database):
    trained = train_once("pumps", settings, store, clock, trial=True)
    more(database, 1, 2 * LEARNED, factor=3.0)
    score(monitor)
    with store.reading() as connection:
        (row,) = connection.execute(sa.select(trial_verdicts)).all()
    assert row.detector_id == trained.id
    assert min(row.exceedance, row.active_exceedance) > 1
    assert succession.differing(store, trained.id, 10) == []


def test_one_that_loses_a_confirmed_anomaly_is_rejected(monitor, settings, store, clock, database):
    # Given an anomaly that the active detector flagged and somebody confirmed
    more(database, 1, 2 * LEARNED, factor=3.0)
    assert len(score(monitor).exceedances) == 1
    with store.writing() as connection:
        said = {"monitor": "pumps", "record_key": str(2 * LEARNED), "verdict": "confirmed"}
        connection.execute(sa.insert(feedback).values(**said, created_at=clock()))
    # and a new detector whose line is far too high
    fixed = settings.threshold.model_copy(
        update={"method": "fixed", "value": 1e9, "false_alarm_rate": None}
    )
    blind = settings.model_copy(update={"threshold": fixed})
    train_once("pumps", blind, store, clock, trial=True)
    more(database, TRIAL, 2 * LEARNED + 1)
    score(monitor)
    assert states(store) == ["active", "rejected"]
    reason = detector_rows(store, "pumps")[1]["state_reason"]
    assert "misses 1 of 1 confirmed anomalies" in reason


def test_a_trial_that_sees_too_few_records_is_decided_when_its_time_is_up(
    monitor, settings, store, clock, database
):
    train_once("pumps", settings, store, clock, trial=True)
    more(database, 30, 2 * LEARNED)
    score(monitor)
    clock.forward(timedelta(hours=5))
    score(monitor)
    assert states(store) == ["active", "shadow"]
    clock.forward(timedelta(hours=1))
    score(monitor)
    assert states(store) == ["retired", "active"]


def test_a_newer_detector_takes_the_place_of_one_on_trial(monitor, settings, store, clock):
    for _ in range(2):
        train_once("pumps", settings, store, clock, trial=True)
    assert states(store) == ["active", "rejected", "shadow"]
    assert detector_rows(store, "pumps")[1]["state_reason"] == "detector 3 was trained"


def test_without_a_trial_it_judges_at_once(monitor, settings, store, clock):
    trained = train_once("pumps", settings, store, clock)
    assert not trained.on_trial
    assert states(store) == ["retired", "active"]
    assert judging_detectors(store, "pumps")[1] is None


def test_going_back_is_one_step_and_the_next_record_is_judged_by_it(
    monitor, settings, store, clock, database
):
    train_once("pumps", settings, store, clock)
    before, version = succession.version_before(store, "pumps")
    assert version == 1
    active, _ = judging_detectors(store, "pumps")
    succession.promote(store, "pumps", before, "rolled back", instead_of=active.id)
    assert states(store) == ["active", "retired"]
    more(database, 1, 2 * LEARNED)
    assert score(monitor).detector_id == 1


def test_two_that_promote_at_once_make_one_active(monitor, settings, store, clock):
    train_once("pumps", settings, store, clock, trial=True)
    active, shadow = judging_detectors(store, "pumps")
    succession.promote(store, "pumps", shadow.id, "promoted", instead_of=active.id)
    with pytest.raises(succession.StaleWatermarkError, match="changed meanwhile"):
        succession.promote(store, "pumps", shadow.id, "promoted", instead_of=active.id)
    with store.reading() as connection:
        count = sa.select(sa.func.count()).where(detectors.c.state == DetectorState.ACTIVE)
        assert connection.execute(count).scalar() == 1
