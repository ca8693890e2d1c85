"""A detector in the shadow judges beside the active one, and a written rule decides."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
import sqlalchemy as sa

from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.errors import ArtifactError, FrameError, StoreError
from aemon.lifecycle import policy
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import DetectorState, Outcome
from aemon.run import Run, Stop
from aemon.store import succession
from aemon.store.detectors import detector_rows, judging_detectors
from aemon.store.schema.tables import artifacts, detectors, feedback, scores, trial_verdicts, trials
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

TRIAL = 100


@pytest.fixture
def settings(settings):
    life = LifecycleSettings(trial_records=TRIAL, trial_longest=timedelta(hours=6))
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


def score(monitor) -> Run:
    tally = Run()
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
    assert len(score(monitor).counts.exceedances) == 1
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
    assert "does not flag 1 of 1 confirmed anomalies" in reason


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


def reasons(monitor, now) -> list[str]:
    """All that asks for a training, not only what is most pressing."""
    observed = monitor._active_detector._observed()
    return list(policy._reasons(observed, monitor.settings, now))


def test_after_going_back_the_schedule_begins_anew(monitor, settings, store, clock, database):
    """Else the next tick would train what was just refused."""
    old_enough = "schedule: the detector is old enough"
    train_once("pumps", settings, store, clock)
    clock.forward(timedelta(hours=23))
    before, _ = succession.version_before(store, "pumps")
    active, _ = judging_detectors(store, "pumps")
    succession.promote(store, "pumps", before, "rolled back", instead_of=active.id)
    score(monitor)
    clock.forward(timedelta(hours=23))
    score(monitor)
    assert old_enough not in reasons(monitor, clock())
    clock.forward(timedelta(hours=1))
    assert old_enough in reasons(monitor, clock())


def test_two_that_promote_at_once_make_one_active(monitor, settings, store, clock):
    train_once("pumps", settings, store, clock, trial=True)
    active, shadow = judging_detectors(store, "pumps")
    succession.promote(store, "pumps", shadow.id, "promoted", instead_of=active.id)
    with pytest.raises(succession.StaleWatermarkError, match="changed meanwhile"):
        succession.promote(store, "pumps", shadow.id, "promoted", instead_of=active.id)
    with store.reading() as connection:
        count = sa.select(sa.func.count()).where(detectors.c.state == DetectorState.ACTIVE)
        assert connection.execute(count).scalar() == 1


def tick(monitor, settings, store, clock) -> str:
    """What a daemon does at a tick; why it trained, if it did."""
    score(monitor)
    why = monitor.wants_training(clock())
    if why:
        train_once("pumps", settings, store, clock, why=why, trial=settings.life.trial)
    return why


def spoil(store, version):
    """Make the weights of a detector unreadable."""
    row = detector_rows(store, "pumps")[version - 1]
    of = artifacts.c.sha256 == row["artifact_sha256"]
    with store.writing() as connection:
        connection.execute(sa.update(artifacts).where(of).values(content=b"rubbish"))


def rename(store, version):
    """Let a detector's manifest have settings that this aemon does not know."""
    of = detectors.c.version == version
    with store.writing() as connection:
        manifest = connection.execute(sa.select(detectors.c.manifest).where(of)).scalar_one()
        manifest["settings"]["threshold"]["of_old"] = 1
        connection.execute(sa.update(detectors).where(of).values(manifest=manifest))


def test_changed_settings_are_learned_once_and_then_are_on_trial(
    monitor, settings, store, clock, database
):
    # Given settings that another detector is learned by
    columns = settings.columns.model_copy(update={"exclude": ("current",)})
    changed = settings.model_copy(update={"columns": columns})
    again = Monitor("pumps", changed, store, clock)
    assert tick(again, changed, store, clock).startswith("settings")
    # When its trial goes on, then nothing more is trained
    for step in range(3):
        more(database, 10, 2 * LEARNED + 10 * step)
        assert tick(again, changed, store, clock) == ""
    assert states(store) == ["active", "shadow"]
    again.close()


@pytest.mark.parametrize("damage", [spoil, rename])
def test_a_detector_that_cannot_be_read_is_replaced_at_once(
    monitor, settings, store, clock, database, damage
):
    damage(store, 1)
    fresh = Monitor("pumps", settings, store, clock)
    with pytest.raises(ArtifactError):
        score(fresh)
    why = fresh.wants_training(clock())
    assert why.startswith("unreadable")
    assert not train_once("pumps", settings, store, clock, why=why, trial=True).on_trial
    more(database, 1, 2 * LEARNED)
    assert score(fresh).counts.records_scored == 1
    fresh.close()


@pytest.mark.parametrize("damage", [spoil, rename])
def test_one_on_trial_that_cannot_be_read_is_rejected(monitor, settings, store, clock, damage):
    train_once("pumps", settings, store, clock, trial=True)
    damage(store, 2)
    score(monitor)
    assert states(store) == ["active", "rejected"]
    assert "cannot be read" in detector_rows(store, "pumps")[1]["state_reason"]


def test_one_on_trial_that_the_records_do_not_fit_any_more_is_rejected(
    monitor, settings, store, clock, database
):
    train_once("pumps", settings, store, clock, trial=True)
    score(monitor)
    unfit = "column current is not there"

    def refuse(frame, before):
        raise FrameError(unfit)

    shadow = monitor._active_detector.shadow
    shadow.detector = Mock(wraps=shadow.detector, look=refuse)
    more(database, 1, 2 * LEARNED)
    score(monitor)
    assert states(store) == ["active", "rejected"]
    assert unfit in detector_rows(store, "pumps")[1]["state_reason"]


def test_a_trial_that_nobody_noted_begins_anew(monitor, settings, store, clock, database):
    """As after an import from before trials were kept: otherwise nothing is ever trained again."""
    train_once("pumps", settings, store, clock, trial=True)
    with store.writing() as connection:
        connection.execute(sa.delete(trials))
    for step in range(2):
        more(database, TRIAL, (2 + step) * LEARNED)
        score(monitor)
    assert states(store) == ["retired", "active"]


def test_a_trial_begins_anew_when_another_becomes_active_by_hand(
    monitor, settings, store, clock, database
):
    # Given two detectors, and a third one that is held against the second
    train_once("pumps", settings, store, clock)
    third = train_once("pumps", settings, store, clock, trial=True)
    more(database, TRIAL - 1, 2 * LEARNED, factor=3.0)
    score(monitor)
    # When a person goes back to the first
    first, _ = succession.version_before(store, "pumps")
    succession.promote(store, "pumps", first, "rolled back", instead_of=2)
    # Then what it was like beside the second says nothing of it any more
    trial = succession.find_trial(store, third.id)
    assert (trial.active_id, trial.records, trial.flagged_by_active) == (first, 0, 0)
    assert states(store) == ["active", "retired", "shadow"]
    with store.reading() as connection:
        assert connection.execute(sa.select(trial_verdicts)).all() == []
    more(database, 1, 3 * LEARNED)
    score(monitor)
    assert succession.find_trial(store, third.id).records == 1


def test_a_key_that_comes_again_is_noted_once(monitor, settings, store, clock):
    """Where not all scores are kept, it is taken for a new record: the run must not fail of it."""
    trained = train_once("pumps", settings, store, clock, trial=True)
    row = {"record_key": "1", "entity": "", "event_time": clock(), "exceedance": 2.0}
    counts = dict.fromkeys(
        ("flagged", "flagged_by_active", "flagged_by_both", "critical_by_active"), 0
    )
    step = succession.Step(
        records=1, critical_kept=0, **counts, verdicts=[{**row, "active_exceedance": 0.5}]
    )
    for _ in range(2):
        with store.writing() as connection:
            succession.note_step(connection, trained.id, step, clock())
    assert succession.find_trial(store, trained.id).records == 2
    with store.reading() as connection:
        assert len(connection.execute(sa.select(trial_verdicts)).all()) == 1


def test_what_people_confirmed_is_judged_only_once_a_trial_can_be_decided(
    monitor, settings, store, clock, database, monkeypatch
):
    train_once("pumps", settings, store, clock, trial=True)
    more(database, 10, 2 * LEARNED)
    clock.forward(timedelta(days=1))
    monkeypatch.setattr("aemon.lifecycle.trial._confirmed", Mock(side_effect=AssertionError))
    score(monitor)
    score(monitor)
    assert states(store) == ["active", "shadow"]


def test_records_are_judged_and_noted_by_the_lines_that_new_settings_draw(
    monitor, settings, store, clock, database
):
    changed = settings.threshold.model_copy(update={"false_alarm_rate": 0.1})
    again = Monitor("pumps", settings.model_copy(update={"threshold": changed}), store, clock)
    more(database, 10, 2 * LEARNED)
    score(again)
    again.close()
    line = judging_detectors(store, "pumps")[0]
    assert line.false_alarm_rate == 0.1
    query = sa.select(scores).where(scores.c.record_key == str(2 * LEARNED))
    with store.reading() as connection:
        row = connection.execute(query).one()
    assert row.threshold_id == line.threshold_id
    assert row.score / row.exceedance == pytest.approx(line.threshold)


def test_a_store_that_is_away_makes_no_detector_unreadable(
    monitor, settings, store, clock, monkeypatch
):
    changed = settings.threshold.model_copy(update={"false_alarm_rate": 0.1})
    again = Monitor("pumps", settings.model_copy(update={"threshold": changed}), store, clock)
    with monkeypatch.context() as patch:
        patch.setattr(
            "aemon.lifecycle.active_detector.replace_thresholds",
            Mock(side_effect=StoreError("away")),
        )
        with pytest.raises(StoreError):
            score(again)
    assert again.wants_training(clock()) == ""
    score(again)
    again.close()
    assert judging_detectors(store, "pumps")[0].false_alarm_rate == 0.1
