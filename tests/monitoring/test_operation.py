"""Operating state over a source: records of a machine that is not at work are not judged."""

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.config.column_settings import ColumnSettings
from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.schema import Config
from aemon.doctor.finding import Level
from aemon.doctor.monitor_checks import records
from aemon.errors import TrainingError
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.rebuilding import rebuild
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome, Verdict
from aemon.run import Run, Stop
from aemon.store.detectors import active_detector
from aemon.store.ledger import save_run
from aemon.store.queries import overview
from aemon.store.schema.tables import runs, scores
from tests import machines
from tests.machines import is_on, is_warming
from tests.processes import insert, make_table

LEARNED = 400
CAME = (1, 3, 60, 2, 77, 1, 16, 90)
WORK = {"only_when": "speed > 10"}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "plant.db"
    make_table(path, "readings", machines.COLUMNS)
    insert(path, "readings", machines.rows(LEARNED))
    return path


@pytest.fixture
def set_up(settings):
    """Settings with a condition."""

    def set_up(window=1, **columns):
        source = settings.source.model_copy(update={"entity": "machine"})
        detector = settings.detector.model_copy(update={"window": window})
        return settings.model_copy(
            update={
                "source": source,
                "columns": ColumnSettings.model_validate(WORK | columns),
                "detector": detector,
                "min_records": LEARNED,
                "life": LifecycleSettings(trial=False, recalibrate=False),
            }
        )

    return set_up


def score(settings, store, clock) -> Run:
    """What a run of a monitor that was just started counts."""
    monitor, run = Monitor("pumps", settings, store, clock), Run()
    outcome, run.reason = monitor.score_once(run, Stop())
    monitor.close()
    assert outcome is Outcome.OK
    return run


def verdicts(store) -> dict[int, tuple[str, float | None]]:
    query = sa.select(scores.c.record_key, scores.c.verdict, scores.c.score)
    with store.reading() as connection:
        found = connection.execute(query.where(scores.c.superseded_at.is_(None)))
        return {int(key): (verdict, value) for key, verdict, value in found}


def test_records_at_rest_teach_nothing_and_are_idle(set_up, store, clock, database):
    # Given a detector that learned from a machine's records
    trained = train_once("pumps", set_up(), store, clock)
    assert trained.records == sum(map(is_on, range(LEARNED)))
    # When more come, one of them odd, and one without its speed
    rows = list(machines.rows(200, first=LEARNED, fault=LEARNED + 50))
    rows[20] = (*rows[20][:3], None, *rows[20][4:])
    insert(database, "readings", rows)
    run = score(set_up(), store, clock)
    # Then those at rest are idle, and the fault is found
    found = verdicts(store)
    idle = {key for key, (verdict, _) in found.items() if verdict == Verdict.IDLE}
    resting = {key for key in range(LEARNED, LEARNED + 200) if not is_on(key)}
    assert idle == resting | {LEARNED + 20}
    assert found[LEARNED + 50][0] == Verdict.ANOMALY
    assert all((score is None) == (key in idle) for key, (_, score) in found.items())
    assert run.counts.records_scored == 200
    assert run.counts.records_idle == len(idle)
    assert "1 records lack a cell that columns.only_when needs" in run.reason
    with store.reading() as connection:
        kept = connection.execute(sa.select(sa.func.sum(runs.c.records_idle))).scalar_one()
        budget = connection.execute(sa.text("SELECT records_judged FROM alarm_budget")).scalar_one()
        covered = connection.execute(
            sa.text("SELECT records_idle, records_unaccounted FROM coverage")
        ).one()
        days = sa.text("SELECT records_judged, flagged FROM alarms_by_event_day")
        judged, flagged = connection.execute(days).one()
    assert kept == len(idle)
    assert budget == judged == 200 - len(idle)
    assert tuple(covered) == (len(idle), 0)
    assert flagged == run.counts.anomalies
    (seen,) = overview(store, ["pumps"], clock())
    assert seen.realised.judged == 200 - len(idle)
    # And are counted in no drift and no threshold
    monitor = Monitor("pumps", set_up(), store, clock)
    monitor._judge(Run(), Stop())
    assert monitor._active_detector.memory.life.records == 200 - len(idle)
    monitor.close()


@pytest.mark.parametrize(("window", "settle"), [(1, "5s"), (4, None), (4, "5s")])
def test_restarts_between_records_change_no_verdict(set_up, store, clock, database, window, settle):
    settings = set_up(window=window, settle=settle)
    trained = train_once("pumps", settings, store, clock)
    warming = sum(map(is_warming, range(LEARNED)))
    assert trained.records == sum(map(is_on, range(LEARNED))) - (warming if settle else 0)
    # Given records that come in pieces, each judged by a daemon that was just started
    first = LEARNED
    for count in CAME:
        insert(database, "readings", machines.rows(count, first=first))
        first += count
        score(settings, store, clock)
    found = verdicts(store)
    for key, (verdict, _) in found.items():
        idle = not is_on(key) or bool(settle and is_warming(key))
        assert (verdict == Verdict.IDLE) == idle, key
    # When they are judged again
    monitor, run = Monitor("pumps", settings, store, clock), Run()
    monitor.score_again(run, Stop())
    monitor.close()
    # Then the verdicts are the same, but for those that have a past now
    again = verdicts(store)
    assert run.counts.records_revised <= (0 if window == 1 else 18)
    for key in range(LEARNED + 20, first):
        assert again[key][0] == found[key][0]
        np.testing.assert_allclose(
            again[key][1] or 0, found[key][1] or 0, rtol=1e-4, err_msg=str(key)
        )


def test_a_late_record_is_held_against_those_before_it(set_up, store, clock, database):
    settings = set_up(settle="5s").model_copy(update={"lateness": timedelta(hours=1)})
    train_once("pumps", settings, store, clock)
    rows = list(machines.rows(150, first=LEARNED))
    late = [rows.pop(120), rows.pop(102)]  # both of a machine at work, the second just begun
    insert(database, "readings", rows)
    score(settings, store, clock)
    insert(database, "readings", late)
    monitor = Monitor("pumps", settings, store, clock)
    monitor._review._next_at = 0.0
    monitor.score_once(Run(), Stop())
    monitor.close()
    found = verdicts(store)
    assert found[LEARNED + 102][0] == Verdict.IDLE
    assert found[LEARNED + 120][0] == Verdict.NORMAL


def test_a_detector_can_be_had_again(set_up, store, clock, database):
    settings = set_up(window=4, settle="5s")
    train_once("pumps", settings, store, clock)
    again = rebuild("pumps", settings, store, clock, 1)
    assert again.same_records
    assert again.same_threshold
    assert again.largest_gap == pytest.approx(0, abs=1e-6)
    detector = load(store, active_detector(store, "pumps")).detector
    assert detector.operation.summary == "`speed > 10` holds for at least 5s"


def test_where_it_holds_for_too_few_nothing_is_learned(set_up, store, clock, database):
    settings = set_up(only_when="speed > 60").model_copy(update={"min_records": None})
    with pytest.raises(TrainingError, match=r"columns\.only_when holds for 0 of the records"):
        train_once("pumps", settings, store, clock)


def test_a_machine_that_is_never_at_work_is_told(set_up, store, clock, database):
    train_once("pumps", set_up(), store, clock)
    insert(database, "readings", list(machines.rows(100, first=LEARNED))[-machines.OFF :])
    run = score(set_up(), store, clock)
    assert "columns.only_when holds for none of the records: none was judged" in run.reason
    ended = run.report("pumps", Job.SCORE, Outcome.OK, run.reason, (clock(), clock()))
    save_run(store, ended, run.id)
    config = Config(monitors={"pumps": set_up()})
    (found,) = [one for one in records(store, config) if one.level is Level.WARNING]
    assert "none of 30 records of the last day was judged" in found.what


def test_idle_scores_are_kept_as_normal_ones_are(set_up, store, clock, database):
    settings = set_up().model_copy(update={"keep": "flagged"})
    train_once("pumps", settings, store, clock)
    insert(database, "readings", machines.rows(200, first=LEARNED, fault=LEARNED + 50))
    score(settings, store, clock)
    kept = {verdict for verdict, _ in verdicts(store).values()}
    assert kept == {Verdict.ANOMALY}


def test_a_mode_is_read_from_the_source_and_a_new_one_is_told(set_up, store, clock, database):
    # Given a machine that makes two products, at other pressures
    table = ["ts TEXT", "machine TEXT", "speed REAL", "flow REAL", "pressure REAL", "product TEXT"]
    make_table(database, "products", table)

    def made(count, first, product=""):
        for number, *values, pressure in machines.rows(count, first=first):
            name = product or ("p1" if number // 50 % 2 else "p2")
            yield (number, *values, pressure + 10 * (name == "p1"), name)

    insert(database, "products", made(LEARNED, 0))
    settings = set_up(mode="product")
    source = settings.source.model_copy(update={"table": "products"})
    settings = settings.model_copy(update={"source": source})
    trained = train_once("pumps", settings, store, clock)
    assert trained.records == sum(map(is_on, range(LEARNED)))
    # When it goes on, and makes another product
    insert(database, "products", made(100, LEARNED))
    insert(database, "products", made(50, LEARNED + 100, "p3"))
    run = score(settings, store, clock)
    # Then that is an anomaly, and said so
    query = sa.text("SELECT CAST(record_key AS INTEGER), reason FROM flagged_records")
    with store.reading() as connection:
        reasons = dict(tuple(row) for row in connection.execute(query))
    new = range(LEARNED + 100, LEARNED + 150)
    assert all("product p3 is not in the training records" in reasons[key] for key in new)
    assert run.counts.anomalies - len(new) <= 12, "but for the machine that warms up"
