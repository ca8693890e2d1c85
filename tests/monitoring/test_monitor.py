"""One monitor's scoring: exactly once, in order, whatever the records are like."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.column_settings import ColumnSettings
from aemon.errors import ArtifactError, FrameError, SourceConfigError, TrainingError
from aemon.lifecycle.training_run import train_once
from aemon.monitoring import judging
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import AbandonedError, Run, Stop
from aemon.store import artifacts
from aemon.store.schema.tables import anomalies, contributions, scores
from aemon.store.succession import reject
from aemon.store.verdicts import save_verdicts
from tests import readings
from tests.processes import insert, make_table
from tests.readings import LEARNED


@pytest.fixture
def monitor(settings, store, clock):
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


@pytest.fixture
def trained(monitor, settings, store, clock):
    train_once("pumps", settings, store, clock)
    return monitor


def score(monitor) -> tuple[Outcome, str, Run]:
    tally = Run()
    outcome, reason = monitor.score_once(tally, Stop())
    return outcome, reason, tally


def keys(store, table=scores) -> list[str]:
    with store.reading() as connection:
        return sorted(connection.execute(sa.select(table.c.record_key)).scalars(), key=int)


def test_before_there_is_a_detector_it_says_how_far_it_is(settings, store, clock):
    patient = settings.model_copy(update={"min_records": 1000})
    monitor = Monitor("pumps", patient, store, clock)
    outcome, reason, tally = score(monitor)
    monitor.close()
    assert outcome is Outcome.COLLECTING
    assert reason == f"collecting {LEARNED} of 1000 records"
    assert (tally.counts.records_read, tally.counts.records_wanted) == (LEARNED, 1000)


def test_records_learned_from_are_not_judged_and_every_later_one_is_once(trained, database, store):
    assert score(trained)[0] is Outcome.NO_DATA
    insert(database, "readings", readings.rows(100, first=LEARNED))
    outcome, _, tally = score(trained)
    assert (outcome, tally.counts.records_read, tally.counts.records_scored) == (
        Outcome.OK,
        100,
        100,
    )
    assert score(trained)[0] is Outcome.NO_DATA
    assert keys(store) == [str(key) for key in range(LEARNED, LEARNED + 100)]


def test_the_newest_record_is_told_even_where_nothing_new_comes(trained, database):
    """After a restart, too: else a source that stays silent would be forgotten."""
    insert(database, "readings", readings.rows(10, first=LEARNED))
    score(trained)
    outcome, _, tally = score(trained)
    assert outcome is Outcome.NO_DATA
    assert tally.counts.newest_record == readings.START + timedelta(seconds=LEARNED + 9)


def test_each_entity_is_told_its_exceedance_where_that_is_asked_for(trained, database):
    insert(database, "readings", readings.rows(10, first=LEARNED))
    assert score(trained)[2].counts.by_entity == {}
    trained.settings = trained.settings.model_copy(update={"entity_metrics": 3})
    insert(database, "readings", readings.rows(10, first=LEARNED + 10))
    _, _, tally = score(trained)
    assert tally.counts.by_entity == {"": tally.counts.largest_exceedance}


def test_a_broken_correlation_is_flagged_with_its_reasons(trained, database, store):
    """Given a record whose every value is in range, but flow does not go with current."""
    time = (readings.START + timedelta(hours=1)).isoformat()
    insert(database, "readings", [(5000, time, 9.0, 2.2, 0.8)])
    _, _, tally = score(trained)
    assert len(tally.counts.exceedances) == 1
    with store.reading() as connection:
        anomaly = connection.execute(sa.select(anomalies)).one()
        parts = connection.execute(sa.select(contributions)).all()
    assert anomaly.observed == {"flow": 9.0, "pressure": 2.2, "current": 0.8}
    assert set(anomaly.reconstructed) == {"flow", "pressure", "current"}
    assert " was expected" in anomaly.reason
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert [part.rank for part in parts] == [1, 2, 3]


def test_missing_cells_are_counted_and_a_record_mostly_missing_is_absent(trained, database, store):
    def time(n):
        return (readings.START + timedelta(hours=n)).isoformat()

    insert(
        database,
        "readings",
        [(6000, time(1), 6.0, None, 1.8), (6001, time(2), None, None, 1.8)],
    )
    _, _, tally = score(trained)
    assert tally.counts.cells_imputed == 3
    with store.reading() as connection:
        rows = connection.execute(sa.select(scores).order_by(scores.c.event_time)).all()
    assert [row.verdict for row in rows] == ["normal", "absent"]
    assert rows[0].imputed_share == pytest.approx(1 / 3)
    assert (rows[1].score, rows[1].p_value, rows[1].exceedance) == (None, None, None)


def test_a_key_seen_before_is_rejected_unless_the_record_has_changed(
    settings, database, store, clock
):
    make_table(database, "doubled", ["name TEXT", "ts TEXT", *readings.COLUMNS])

    def add(rows):
        insert(database, "doubled", [(None, f"r{number}", *row) for number, *row in rows])

    add(readings.rows(LEARNED))
    source = settings.source.model_copy(update={"table": "doubled", "key": "name"})
    settings = settings.model_copy(
        update={"source": source, "columns": ColumnSettings(exclude=("id",))}
    )
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    fresh = list(readings.rows(50, first=LEARNED))
    add([*fresh, *fresh[:5]])  # the same key and time
    time = (readings.START + timedelta(hours=3)).isoformat()
    add([(LEARNED + 1, time, 6.0, 2.8, 1.8)])  # an old key, much later and with other values
    outcome, _, tally = score(monitor)
    monitor.close()
    assert outcome is Outcome.OK
    assert tally.counts.rejected["duplicate_key"] == 5
    assert (
        tally.counts.records_read,
        tally.counts.records_scored,
        tally.counts.records_revised,
    ) == (56, 50, 1)
    with store.reading() as connection:
        current = scores.c.superseded_at.is_(None)
        judged = connection.execute(sa.select(scores.c.record_key).where(current)).scalars().all()
        again = scores.c.record_key == f"r{LEARNED + 1}"
        revisions = sa.select(scores.c.revision, scores.c.superseded_at).where(again)
        kept = connection.execute(revisions.order_by(scores.c.revision)).all()
    assert sorted(judged) == [f"r{key}" for key in range(LEARNED, LEARNED + 50)]
    assert [(row.revision, row.superseded_at) for row in kept] == [(1, clock()), (2, None)]


def test_a_vanished_column_fails_the_run_and_loses_nothing(trained, database, store):
    import sqlite3

    insert(database, "readings", readings.rows(10, first=LEARNED))
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("ALTER TABLE readings RENAME COLUMN pressure TO druck")
    with pytest.raises(FrameError, match="pressure"):
        score(trained)
    trained.close()
    with connection:
        connection.execute("ALTER TABLE readings RENAME COLUMN druck TO pressure")
    connection.close()
    assert score(trained)[2].counts.records_scored == 10


def test_a_missing_table_is_named(settings, store, clock):
    source = settings.source.model_copy(update={"table": "readigns"})
    monitor = Monitor("pumps", settings.model_copy(update={"source": source}), store, clock)
    with pytest.raises(SourceConfigError, match="readigns"):
        score(monitor)
    monitor.close()


def test_a_run_told_to_stop_writes_nothing_more(trained, database, store):
    insert(database, "readings", readings.rows(100, first=LEARNED))
    stop = Stop()
    stop.ask("aemon is stopping")
    with pytest.raises(AbandonedError, match="stopping"):
        trained.score_once(Run(), stop)
    assert keys(store) == []
    assert score(trained)[2].counts.records_scored == 100


def test_settings_that_changed_or_age_make_a_detector_outdated(trained, clock, settings, store):
    score(trained)
    assert not trained.wants_training(clock())
    assert trained.wants_training(clock() + settings.train_every)
    changed = settings.model_copy(
        update={"detector": settings.detector.model_copy(update={"seed": 5})}
    )
    other = Monitor("pumps", changed, store, clock)
    score(other)
    assert other.wants_training(clock())
    other.close()


def test_settings_that_changed_ask_for_one_training_whatever_becomes_of_its_trial(
    trained, clock, settings, store
):
    # Given a monitor whose settings were changed, and a detector trained by those, on trial
    detector = settings.detector.model_copy(update={"seed": 5})
    changed = settings.model_copy(update={"detector": detector})
    other = Monitor("pumps", changed, store, clock)
    score(other)
    assert other.wants_training(clock()).startswith("settings")
    made = train_once("pumps", changed, store, clock, trial=True)
    # When it is looked at again, during the trial and after the detector was rejected
    score(other)
    during = other.wants_training(clock())
    reject(store, "pumps", made.id, "rejected: it was worse")
    score(other)
    # Then no other is asked for: it would be the same; the schedule goes on
    assert not during
    assert not other.wants_training(clock())
    assert other.wants_training(clock() + settings.train_every).startswith("schedule")
    other.close()


def test_units_are_told_from_the_next_run_on_without_training_again(
    trained, database, settings, store, clock
):
    time = (readings.START + timedelta(hours=1)).isoformat()
    insert(database, "readings", [(5000, time, 9.0, 2.2, 0.8)])
    units = dict.fromkeys(("flow", "pressure", "current"), "unit")
    columns = settings.columns.model_copy(update={"units": units})
    other = Monitor("pumps", settings.model_copy(update={"columns": columns}), store, clock)
    assert score(other)[2].counts.exceedances
    assert not other.wants_training(clock())
    other.close()
    with store.reading() as connection:
        reason = connection.execute(sa.select(anomalies.c.reason)).scalar_one()
    assert " unit where " in reason


def test_a_detector_of_an_earlier_format_is_due_to_be_trained_again(
    trained, database, settings, store, clock, monkeypatch
):
    # Given an active detector that an aemon of another format stored
    insert(database, "readings", readings.rows(50, first=LEARNED))
    score(trained)
    monkeypatch.setattr(artifacts, "FORMAT_VERSION", 1)
    train_once("pumps", settings, store, clock)
    monkeypatch.undo()
    # When it is to judge
    insert(database, "readings", readings.rows(50, first=LEARNED + 50))
    with pytest.raises(ArtifactError, match="of an earlier aemon"):
        score(trained)
    # Then it is due to be replaced, and a new one judges what waited
    assert trained.wants_training(clock())
    train_once("pumps", settings, store, clock)
    assert score(trained)[2].counts.records_scored == 50
    assert not trained.wants_training(clock())


def test_a_later_detector_learns_from_judged_records_without_the_flagged_ones(
    trained, database, settings, store, clock
):
    insert(database, "readings", readings.rows(100, first=LEARNED))
    time = (readings.START + timedelta(hours=1)).isoformat()
    insert(database, "readings", [(5000, time, 9.0, 2.2, 0.8)])
    _, _, tally = score(trained)
    insert(database, "readings", [(7000, "2026-01-02T00:00:00+00:00", 6.0, 2.8, 1.8)])  # unjudged
    made = train_once("pumps", settings, store, clock)
    assert made.version == 2
    assert made.excluded == sum(exceedance > 10 for exceedance in tally.counts.exceedances) == 1
    assert made.records == LEARNED + 101 - made.excluded
    score(trained)
    assert trained.in_use.version == 2


def test_starting_now_learns_from_the_newest_and_judges_what_follows(
    database, settings, store, clock
):
    insert(database, "readings", readings.rows(300, first=LEARNED))
    now = settings.model_copy(update={"start": "now", "max_training_records": 250})
    made = train_once("pumps", now, store, clock)
    assert made.records == 250
    monitor = Monitor("pumps", now, store, clock)
    assert score(monitor)[0] is Outcome.NO_DATA
    insert(database, "readings", readings.rows(5, first=LEARNED + 300))
    assert score(monitor)[2].counts.records_scored == 5
    monitor.close()


def test_a_run_that_timed_out_while_it_waited_for_the_store_takes_all_back(
    trained, database, store, monkeypatch
):
    """The last look is inside the transaction, however long the store kept the run waiting."""
    insert(database, "readings", readings.rows(10, first=LEARNED))
    stop = Stop()

    def slowly(*arguments, **options):
        stop.ask("not done after 1 s")
        return save_verdicts(*arguments, **options)

    monkeypatch.setattr(judging, "save_verdicts", slowly)
    with pytest.raises(AbandonedError):
        trained.score_once(Run(), stop)
    monkeypatch.undo()
    assert keys(store) == []
    assert score(trained)[2].counts.records_scored == 10


def test_a_backlog_longer_than_a_run_is_left_to_the_next_ones(trained, database, store):
    insert(database, "readings", readings.rows(200, first=LEARNED))
    hurried = trained.settings.model_copy(update={"score_timeout": timedelta(microseconds=2)})
    monitor = Monitor("pumps", hurried, store, trained._clock)
    outcome, reason, tally = score(monitor)
    monitor.close()
    assert (outcome, reason) == (Outcome.OK, "the next run judges the rest")
    assert tally.counts.unfinished
    assert tally.counts.records_scored == hurried.chunk_records


def test_another_source_under_an_old_name_is_refused(trained, settings, store, clock):
    other = settings.source.model_copy(update={"table": "other"})
    monitor = Monitor("pumps", settings.model_copy(update={"source": other}), store, clock)
    with pytest.raises(SourceConfigError, match="readings") as raised:
        score(monitor)
    monitor.close()
    assert "new name" in raised.value.todo


def test_records_that_wait_are_told(trained, database):
    insert(database, "readings", [(9000, "9999-12-31 00:00:00", 6.0, 2.8, 1.8)])
    outcome, reason, _ = score(trained)
    assert outcome is Outcome.NO_DATA
    assert "1 records wait: their time is unreadable or too far ahead" in reason


def test_too_few_usable_records_are_no_normal_life(settings, database, store, clock):
    """A detector of a handful of records would flag everything."""
    import sqlite3

    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE readings SET ts = '1066-10-14' WHERE id >= 20")
    connection.close()
    with pytest.raises(
        TrainingError, match="only 20 can be used: 180 with a time before 1678"
    ) as raised:
        train_once("pumps", settings, store, clock)
    assert "aemon check" in raised.value.todo


def test_flagged_records_are_logged_the_first_of_many(trained, database, caplog):
    time = (readings.START + timedelta(hours=1)).isoformat()
    insert(database, "readings", [(5000 + n, time, 9.0, 2.2, 0.8) for n in range(30)])
    with caplog.at_level("WARNING", "aemon"):
        score(trained)
    told = [record for record in caplog.records if record.action == "anomaly"]
    assert len(told) == 21
    assert told[0].record == "5000"
    assert "was expected" in told[0].getMessage()
    assert told[-1].getMessage() == "10 more flagged records"


def test_a_run_in_which_nothing_can_be_judged_fails_and_its_records_are_passed(
    trained, database, store
):
    long_ago = "0001-01-01 00:00:00"
    insert(database, "readings", [(9000 + n, long_ago, 6.0, 2.8, 1.8) for n in range(3)])
    run = Run()
    with pytest.raises(FrameError, match=r"none of 3 records can be judged.*'0001-01-01.*9000"):
        trained.score_once(run, Stop())
    assert (run.counts.records_read, run.counts.records_scored) == (3, 0)
    assert run.counts.rejected["time_out_of_range"] == 3
    assert score(trained)[0] is Outcome.NO_DATA
    assert keys(store) == []


def test_a_run_in_which_some_records_are_rejected_says_which(trained, database):
    insert(database, "readings", [(9000, "0001-01-01 00:00:00", 6.0, 2.8, 1.8)])
    insert(database, "readings", readings.rows(1, first=LEARNED))
    outcome, reason, _ = score(trained)
    assert outcome is Outcome.OK
    assert "'0001-01-01 00:00:00' in record 9000" in reason


def test_records_that_nobody_can_read_are_no_beginning(settings, database, store, clock):
    make_table(database, "odd", ["ts TEXT", *readings.COLUMNS])
    rows = [(n, "0001-01-01 00:00:00", *row) for n, _, *row in readings.rows(LEARNED)]
    insert(database, "odd", rows)
    source = settings.source.model_copy(update={"table": "odd"})
    monitor = Monitor("pumps", settings.model_copy(update={"source": source}), store, clock)
    with pytest.raises(FrameError, match=r"none of .* records can be judged"):
        score(monitor)
    monitor.close()


def test_text_that_postgresql_cannot_hold_is_stored_all_the_same(settings, database, store, clock):
    """A NUL in a key or a cell stops no monitor; its picture is stored in its place."""
    make_table(database, "named", ["name TEXT", "ts TEXT", *readings.COLUMNS, "mode TEXT"])
    insert(database, "named", [(None, f"r{n}", *row, "on") for n, *row in readings.rows(LEARNED)])
    source = settings.source.model_copy(update={"table": "named", "key": "name"})
    settings = settings.model_copy(
        update={
            "source": source,
            "columns": ColumnSettings(exclude=("id",), kinds={"mode": "categorical"}),
        }
    )
    train_once("pumps", settings, store, clock)
    time = (readings.START + timedelta(hours=3)).isoformat()
    insert(database, "named", [(None, "r\x00x", time, 9.0, 2.2, 0.8, "o\x00n")])
    monitor = Monitor("pumps", settings, store, clock)
    assert score(monitor)[2].counts.records_scored == 1
    monitor.close()
    with store.reading() as connection:
        (row,) = connection.execute(sa.select(anomalies)).all()
    assert row.record_key == "r\u2400x"
    assert row.observed["mode"] == "o\u2400n"
