"""What a monitor does for its detector: the promise kept, drift told apart, trainings asked for."""

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.quiet_settings import Maintenance, QuietSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.lifecycle import active_detector as active
from aemon.lifecycle import policy
from aemon.lifecycle.cold_start import needed_for
from aemon.lifecycle.recent_records import LONG_STRETCH
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import FeedbackVerdict, Outcome
from aemon.run import Run, Stop
from aemon.store.detectors import active_detector
from aemon.store.drifts import DriftKind, open_drifts
from aemon.store.feedback import add_feedback
from aemon.store.schema.tables import artifacts, detectors, drifts, scores, thresholds
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

LIFE = LifecycleSettings(trial=False, learn_shift_after=timedelta(minutes=2))


@pytest.fixture
def settings(settings):
    rate = ThresholdSettings(false_alarm_rate=0.02)
    return settings.model_copy(update={"life": LIFE, "threshold": rate, "chunk_records": 100})


@pytest.fixture
def monitor(settings, store, clock, database):
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


def score(monitor) -> Run:
    tally = Run()
    outcome, _ = monitor.score_once(tally, Stop())
    assert outcome in {Outcome.OK, Outcome.NO_DATA}
    return tally


def come(database, count, first, *, scale=1.0, shift=0.0):
    """Records whose noise is wider, or whose flow lies elsewhere."""
    rows = []
    rng = np.random.default_rng(first)
    for number, time, flow, pressure, current in readings.rows(count, first=first):
        wider = (scale - 1.0) * 0.02 * rng.normal(size=2)
        rows.append((number, time, flow + shift + wider[0], pressure + wider[1], current))
    insert(database, "readings", rows)


def rows(store, table):
    with store.reading() as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def test_lines_follow_normal_records_that_become_odder_and_keep_one_artifact(
    monitor, database, store
):
    before = active_detector(store, "pumps")
    for number in range(10):
        come(database, 100, LEARNED + 100 * number, scale=4.0)
        score(monitor)
    after = active_detector(store, "pumps")
    assert after.id == before.id
    assert after.threshold > 1.2 * before.threshold
    assert after.calibration_records > before.calibration_records
    drawn = rows(store, thresholds)
    assert drawn[1].reason.startswith("recalibrated on ")
    assert [line.artifact_sha256 is not None for line in drawn] == [False] * (len(drawn) - 1) + [
        True
    ]
    assert len(rows(store, artifacts)) == 2  # the detector, and its newest lines
    # Then whoever starts anew judges by them
    come(database, 50, LEARNED + 1000, scale=4.0)
    assert score(monitor).threshold_id == after.threshold_id


def test_with_recalibrate_off_lines_stay(monitor, database, store, settings, clock):
    still = settings.model_copy(
        update={"life": LIFE.model_copy(update={"recalibrate": False, "retrain_on_drift": False})}
    )
    other = Monitor("pumps", still, store, clock)
    for number in range(6):
        come(database, 100, LEARNED + 100 * number, scale=4.0)
        score(other)
    assert len(rows(store, thresholds)) == 1
    other.close()


def test_a_level_that_stays_is_told_once_learned_and_normal_from_then_on(
    monitor, database, store, settings, clock
):
    come(database, 100, LEARNED)
    assert not score(monitor).counts.exceedances[5:]
    # When the flow lies elsewhere for longer than learn_shift_after
    for number in range(3):
        come(database, 100, LEARNED + 100 * (number + 1), shift=6.0)
        score(monitor)
    (drift,) = [one for one in open_drifts(store, "pumps") if one.kind is DriftKind.SHIFT]
    assert drift.started_at == readings.START + timedelta(seconds=LEARNED + 100)
    # Then what else comes of it is kept quiet, and a training is asked for
    come(database, 100, LEARNED + 400, shift=6.0)
    tally = score(monitor)
    assert (len(tally.counts.exceedances), sum(tally.counts.suppressed.values())) == (0, 100)
    assert monitor.wants_training(clock()).startswith("drift: a new level has stayed for")
    # and the detector that is trained takes it for normal, and the old level for odd
    trained = train_once("pumps", settings, store, clock, why="drift")
    assert "the new level since 2026-01-01 00:05 learned as normal" in trained.summary
    come(database, 100, LEARNED + 500, shift=6.0)
    assert len(score(monitor).counts.exceedances) <= 10
    assert [(row.kind, row.state) for row in rows(store, drifts) if row.kind == "shift"] == [
        ("shift", "learned")
    ]
    come(database, 20, LEARNED + 600)
    assert len(score(monitor).counts.exceedances) == 20
    # and later trainings do not take the old level up again
    again = train_once("pumps", settings, store, clock)
    assert "outlived" in again.summary


def test_a_level_is_not_learned_where_that_is_never_wanted(database, store, settings, clock):
    life = LIFE.model_copy(update={"learn_shift_after": None})
    never = settings.model_copy(update={"life": life})
    train_once("pumps", never, store, clock)
    monitor = Monitor("pumps", never, store, clock)
    for number in range(4):
        come(database, 100, LEARNED + 100 * number, shift=6.0)
        score(monitor)
    assert "new level" not in train_once("pumps", never, store, clock).summary
    monitor.close()


def test_a_long_stretch_of_flagged_records_moves_no_line(monitor, database, store):
    come(database, 300, LEARNED)
    score(monitor)
    before = active_detector(store, "pumps").threshold
    come(database, 10 * LONG_STRETCH, LEARNED + 300, shift=3.0)
    score(monitor)
    come(database, 300, LEARNED + 300 + 10 * LONG_STRETCH)
    score(monitor)
    assert active_detector(store, "pumps").threshold < 1.5 * before


def test_maintenance_says_nothing_of_normal_life(database, store, settings, clock):
    stretch = Maintenance(
        since=readings.START, until=readings.START + timedelta(seconds=LEARNED + 400)
    )
    quiet = settings.model_copy(update={"quiet": QuietSettings(maintenance=(stretch,))})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", quiet, store, clock)
    come(database, 300, LEARNED, shift=6.0)
    tally = score(monitor)
    assert sum(tally.counts.suppressed.values()) == 300
    assert open_drifts(store, "pumps") == []
    assert monitor._active_detector.memory.life.records == 0
    monitor.close()


def test_what_is_remembered_survives_a_restart(monitor, database, store, settings, clock):
    come(database, 300, LEARNED, shift=6.0)
    score(monitor)
    before = monitor._active_detector.memory
    other = Monitor("pumps", settings, store, clock)
    score(other)
    after = other._active_detector.memory
    assert after.life == before.life
    assert list(after._scores) == list(before._scores) or len(after._scores) >= len(before._scores)
    other.close()


def test_a_drift_of_one_column_is_told_and_ends_with_a_new_detector(
    monitor, database, store, settings, clock
):
    """Given a current that reads a little more, too little to be flagged."""
    values = readings.values(900, first=LEARNED)
    more = [
        (n, (readings.START + timedelta(seconds=n)).isoformat(), *row)
        for n, row in enumerate((values * [0.5, 1.0, 0.5] + [1.0, 0.0, 0.3]).tolist(), LEARNED)
    ]
    for start in range(0, 900, 100):
        insert(database, "readings", more[start : start + 100])
        score(monitor)
    kinds = {row.kind for row in rows(store, drifts)}
    assert kinds & {"column", "scores", "shift"}
    train_once("pumps", settings, store, clock)
    score(monitor)
    states = {row.state for row in rows(store, drifts) if row.kind != "shift"}
    assert states <= {"closed"}


def test_feedback_asks_for_a_training_once_there_is_enough(
    monitor, database, store, clock, monkeypatch
):
    monkeypatch.setattr(active, "LOOK_SECONDS", 0.0)
    come(database, 50, LEARNED)
    score(monitor)
    for number in range(5):
        assert monitor.wants_training(clock()) == ""
        key = str(LEARNED + number)
        add_feedback(store, "pumps", FeedbackVerdict.CONFIRMED, record_key=key)
    assert monitor.wants_training(clock()).startswith("feedback: 5 entries")
    trained = train_once("pumps", monitor.settings, store, clock, why="feedback: 5")
    score(monitor)
    assert monitor.wants_training(clock()) == ""
    assert rows(store, detectors)[trained.version - 1].asked_by == "feedback: 5"


def test_verdicts_are_provisional_until_the_promise_can_be_shown_and_the_detector_grows(
    database, store, settings, clock
):
    three = settings.detector.model_copy(update={"members": 3})  # so that every record calibrates
    rare = settings.model_copy(
        update={"threshold": ThresholdSettings(false_alarm_rate=0.002), "detector": three}
    )
    train_once("pumps", rare, store, clock)
    monitor = Monitor("pumps", rare, store, clock)
    come(database, LEARNED // 2, LEARNED)
    assert score(monitor).counts.drift.provisional
    assert all(row.provisional for row in rows(store, scores))
    assert monitor.wants_training(clock()) == ""
    come(database, LEARNED // 2 + 100, LEARNED + LEARNED // 2)
    score(monitor)
    assert monitor.wants_training(clock()).startswith("growth: there are twice as many records")
    train_once("pumps", rare, store, clock, why="growth")
    come(database, 200, 2 * LEARNED + 100)
    score(monitor)
    train_once("pumps", rare, store, clock, why="growth")
    come(database, 10, 2 * LEARNED + 300)
    assert not score(monitor).counts.drift.provisional
    assert not rows(store, scores)[-1].provisional
    monitor.close()


@pytest.mark.parametrize(
    ("columns", "given", "wanted"),
    [(3, None, 200), (40, None, 1200), (900, None, 5000), (3, 70, 70)],
)
def test_a_cold_start_waits_for_thirty_records_a_column(settings, columns, given, wanted):
    assert needed_for(columns, settings.model_copy(update={"min_records": given})) == wanted


def test_a_threshold_that_is_wanted_otherwise_is_redrawn_and_not_trained(
    monitor, database, store, settings, clock
):
    score(monitor)
    rarer = settings.model_copy(update={"threshold": ThresholdSettings(false_alarm_rate=0.05)})
    other = Monitor("pumps", rarer, store, clock)
    come(database, 10, LEARNED)
    tally = score(other)
    assert tally.threshold_id == 2  # the run that draws it judges by it
    drawn = rows(store, thresholds)
    assert [(line.false_alarm_rate, line.reason) for line in drawn] == [
        (0.02, "training"), (0.05, "threshold settings changed"),
    ]  # fmt: skip
    assert drawn[1].value < drawn[0].value
    assert other.wants_training(clock()) == ""
    come(database, 10, LEARNED + 10)
    assert score(other).threshold_id == 2
    other.close()


def test_shifts_are_told_by_time_as_well_as_by_count(monitor, database, store):
    come(database, 60, LEARNED, shift=6.0)
    score(monitor)
    assert open_drifts(store, "pumps") == []  # a minute is less than two
    assert policy.SHIFT_RECORDS < 60
    assert monitor._active_detector.memory.life.shifts[""].records == 60
