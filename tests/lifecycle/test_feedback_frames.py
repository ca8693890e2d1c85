"""What people say of records changes what the next detector learns, by rules that are stated."""

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.config.column_settings import ColumnSettings
from aemon.lifecycle.rebuilding import rebuild
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import FeedbackVerdict, Outcome
from aemon.run import Run, Stop
from aemon.store.detectors import active_detector, detector_row
from aemon.store.feedback import add_feedback, read_feedback, stored_anomalies
from aemon.store.schema.tables import scores
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

ODD = 5000
ODD_AT = readings.START + timedelta(hours=1)


@pytest.fixture
def monitor(settings, store, clock, database):
    """A monitor that has judged a hundred normal records and flagged an odd one."""
    train_once("pumps", settings, store, clock)
    insert(database, "readings", readings.rows(100, first=LEARNED))
    insert(database, "readings", [(ODD, ODD_AT.isoformat(), 9.0, 2.2, 0.8)])
    monitor = Monitor("pumps", settings, store, clock)
    tally = Run()
    monitor.score_once(tally, Stop())
    assert len(tally.counts.exceedances) >= 1
    yield monitor
    monitor.close()


def say(store, sql: str) -> None:
    """As a person does: with an INSERT of their own."""
    with store.writing() as connection:
        connection.execute(sa.text(sql))


def manifest(store, version=2) -> dict:
    return detector_row(store, "pumps", version)["manifest"]


def test_a_confirmed_anomaly_is_never_learned_from_flagged_or_not(monitor, settings, store, clock):
    missed = LEARNED + 7
    for key in (ODD, missed):
        say(store, "insert into feedback (monitor, record_key, verdict, note)"
            f" values ('pumps', '{key}', 'confirmed', 'bearing')")  # fmt: skip
    made = train_once("pumps", settings, store, clock)
    assert sorted(manifest(store)["left_out"]["confirmed"]) == [["", str(missed)], ["", str(ODD)]]
    assert made.records == LEARNED + 101 - made.excluded
    assert "2 confirmed records left out" in made.summary


def test_a_false_alarm_is_learned_from_and_the_same_record_is_flagged_no_more(
    monitor, settings, store, clock
):
    say(store, "insert into feedback (monitor, record_key, verdict)"
        f" values ('pumps', '{ODD}', 'false_alarm')")  # fmt: skip
    made = train_once("pumps", settings, store, clock)
    assert made.records == LEARNED + 101
    assert "flagged" not in manifest(store)["left_out"]
    # It is judged again by the new detector: a new revision, and normal or excused
    tally = Run()
    monitor.score_again(tally, Stop(), since=ODD_AT)
    with store.reading() as connection:
        rows = connection.execute(
            sa.select(scores.c.revision, scores.c.verdict, scores.c.superseded_at)
            .where(scores.c.record_key == str(ODD))
            .order_by(scores.c.revision)
        ).all()
    assert [row.revision for row in rows] == [1, 2]
    assert rows[0].verdict == "anomaly"
    assert rows[1].verdict in ("normal", "suppressed")
    assert rows[0].superseded_at is not None
    assert rows[1].superseded_at is None


def test_a_false_alarm_older_than_what_is_read_is_brought_back(
    monitor, settings, store, clock, database
):
    insert(database, "readings", [(9000 + n, (ODD_AT + timedelta(seconds=n + 1)).isoformat(),
           *readings.values(1, first=n)[0].tolist()) for n in range(LEARNED)])  # fmt: skip
    monitor.score_once(Run(), Stop())
    say(store, "insert into feedback (monitor, record_key, verdict)"
        f" values ('pumps', '{ODD}', 'false_alarm')")  # fmt: skip
    short = settings.model_copy(update={"max_training_records": LEARNED})
    made = train_once("pumps", short, store, clock)
    assert manifest(store)["brought_back"] == [["", str(ODD)]]
    assert made.records == LEARNED + 1 - made.excluded
    assert "1 false alarms brought back" in made.summary
    assert rebuild("pumps", short, store, clock, 2).same


def test_what_is_to_be_ignored_teaches_nothing(monitor, settings, store, clock):
    until = readings.START + timedelta(seconds=LEARNED + 19)
    add_feedback(
        store, "pumps", FeedbackVerdict.IGNORE_UNTIL, record_key=str(LEARNED + 10), until=until
    )
    train_once("pumps", settings, store, clock)
    left_out = manifest(store)["left_out"]["ignored"]
    assert [key for _, key in left_out] == [str(LEARNED + n) for n in range(10, 20)]


def test_the_last_word_counts_and_the_detector_that_took_it_up_is_noted(
    monitor, settings, store, clock
):
    for verdict in ("confirmed", "false_alarm"):
        say(store, "insert into feedback (monitor, record_key, verdict)"
            f" values ('pumps', '{ODD}', '{verdict}')")  # fmt: skip
    assert [one.detector_id for one in read_feedback(store, "pumps")] == [None, None]
    train_once("pumps", settings, store, clock)
    assert "confirmed" not in manifest(store)["left_out"]
    second = active_detector(store, "pumps").id
    assert [one.detector_id for one in read_feedback(store, "pumps")] == [second, second]
    train_once("pumps", settings, store, clock)
    assert [one.detector_id for one in read_feedback(store, "pumps")] == [second, second]


@pytest.mark.parametrize(
    "values",
    [
        "('pumps', '1', 'perhaps', NULL)",
        "('pumps', NULL, 'confirmed', NULL)",
        "('pumps', '1', 'ignore_until', NULL)",
        "('pumps', '1', 'confirmed', '2026-11-21')",
        "('nobody', '1', 'confirmed', NULL)",
    ],
)
def test_what_makes_no_sense_is_refused_by_the_database(store, values):
    with pytest.raises(Exception, match=r"(?i)check|constraint|foreign"):
        say(store, f"insert into feedback (monitor, record_key, verdict, until) values {values}")
    assert read_feedback(store, "pumps") == []


def test_a_detector_is_rebuilt_to_the_same_scores(monitor, settings, store, clock):
    train_once("pumps", settings, store, clock)
    for version in (1, 2):
        made = rebuild("pumps", settings, store, clock, version)
        assert made.same, made
        assert made.largest_gap == 0.0


def test_a_rebuild_says_that_the_source_holds_other_records(
    monitor, settings, store, clock, database
):
    import sqlite3

    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE readings SET flow = flow + 1 WHERE id = 3")
    connection.close()
    made = rebuild("pumps", settings, store, clock, 1)
    assert not made.same
    assert not made.same_records


def test_a_rebuild_leaves_out_what_came_in_late(monitor, settings, store, clock, database):
    """A row inserted since, with a time among those learned from, was not learned from."""
    time = (readings.START + timedelta(seconds=5, milliseconds=500)).isoformat()
    insert(database, "readings", [(7777, time, 6.0, 2.8, 1.8)])
    monitor.score_once(Run(), Stop())
    made = rebuild("pumps", settings, store, clock, 1)
    assert made.same, made


def test_the_manifest_says_what_was_read_and_with_what(settings, store, clock):
    other = settings.model_copy(update={"columns": ColumnSettings(exclude=("current",))})
    train_once("pumps", other, store, clock)
    row = detector_row(store, "pumps", 1)
    noted = row["manifest"]
    assert noted["read"] == {"newest": False, "limit": LEARNED, "until": None}
    assert noted["settings"]["columns"]["exclude"] == ["current"]
    assert '"table":"readings"' in noted["source"]
    assert "url" not in noted["source"], "a URL may hold a password"
    assert row["trained_from"] == readings.START
    assert row["data_hash"]
    assert np.isfinite(noted["lines"]["drawn"]["pooled"])


def test_a_false_alarm_that_was_corrected_is_not_brought_back_as_it_was(
    monitor, settings, store, clock, database
):
    import sqlite3

    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE readings SET flow = 2.7, current = 0.8 WHERE id = ?", (ODD,))
    connection.close()
    clock.forward(timedelta(hours=1))
    monitor.score_again(Run(), Stop(), since=ODD_AT)
    kept = stored_anomalies(store, "pumps", [str(ODD)])
    assert 9.0 not in [one.observed["flow"] for one in kept]


@pytest.mark.parametrize("until", ["21.11.2026", "soon", "2026-02-31"])
def test_a_time_nobody_can_read_is_refused_where_it_is_said(store, until):
    with pytest.raises(Exception, match=r"(?i)check|constraint|date|timestamp|time zone"):
        say(store, "insert into feedback (monitor, verdict, until)"
            f" values ('pumps', 'ignore_until', '{until}')")  # fmt: skip
    say(store, "insert into feedback (monitor, verdict, until)"
        " values ('pumps', 'ignore_until', '2026-11-21 10:00')")  # fmt: skip
    (one,) = read_feedback(store, "pumps")
    assert one.until.isoformat() == "2026-11-21T10:00:00+00:00"


def test_a_time_that_the_store_accepts_fails_no_training(monitor, settings, store, clock):
    sqlite = store.engine.dialect.name == "sqlite"
    accepted = ("2026-12-24 24:00:00", "2026-12-24T12:00", "9999-12-31 23:59") if sqlite else (
        "2026-12-24 24:00:00", "infinity", "-infinity", "0044-03-15 BC", "20000-01-01")  # fmt: skip
    for time in accepted:
        say(store, "insert into feedback (monitor, entity, verdict, until)"
            f" values ('pumps', 'elsewhere', 'ignore_until', '{time}')")  # fmt: skip
    if sqlite:
        # What no check sees, such as a row of a restored copy.
        with store.engine.connect() as connection:
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
            connection.exec_driver_sql(
                "insert into feedback (monitor, record_key, verdict, until, created_at)"
                f" values ('pumps', '{ODD}', 'who knows', 'soon', 'then'),"
                " ('pumps', null, 'ignore_until', 'soon', 'then')"
            )
            connection.commit()
    said = read_feedback(store, "pumps")
    assert len(said) == len(accepted) + sqlite
    assert said[0].until.isoformat() == "2026-12-25T00:00:00+00:00"
    train_once("pumps", settings, store, clock)
    assert monitor.score_once(Run(), Stop())[0] is Outcome.NO_DATA
