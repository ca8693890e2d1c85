"""A store that does not say how far was read: found again, told once, nothing lost or doubled."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.sources.csv.settings import CsvSource
from aemon.store.schema.junk import _log_once
from aemon.store.schema.tables import scores, watermarks
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

JUNK = (
    "7", "[]", "{", '{"time": ["null", 0], "key": ["int", 7], "newest_key": ["text", "x"]}',
    '{"time": ["null", 0], "key": ["int", 7], "missing": [[1, "2", ""]]}',
    '{"readings.csv": [-7, 2]}', '{"readings.csv": [7, 2, 0, 0, 0, "", 0, "", [[1, 2]]]}',
    '{"time": 7}', '{"readings.csv": 7}', '{"time": ["text", "x"]}', "\x1b[2J",
)  # fmt: skip


@pytest.fixture(params=["sql", "csv", "csv without keys"])
def plant(request, database, settings, tmp_path):
    """The settings of a source, and what adds records to it."""
    if request.param == "sql":
        return settings, lambda rows: insert(database, "readings", rows)
    path = tmp_path / "readings.csv"

    def add(rows):
        with path.open("a") as file:
            file.writelines(",".join(map(str, row)) + "\n" for row in rows)

    path.write_text("id,ts,flow,pressure,current\n")
    add(readings.rows(LEARNED))
    key = {} if request.param == "csv without keys" else {"key": "id"}
    source = {"kind": "csv", "path": str(path), "time": "ts", **key}
    return settings.model_copy(update={"source": CsvSource.model_validate(source)}), add


@pytest.fixture
def monitor(plant, store, clock):
    settings, _ = plant
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


def score(monitor):
    run = Run()
    outcome, reason = monitor.score_once(run, Stop())
    return outcome, reason, run


def spoil(store, **values):
    with store.writing() as connection:
        connection.execute(sa.update(watermarks).values(**values))


def judged(store) -> Counter:
    with store.reading() as connection:
        return Counter(connection.execute(sa.select(scores.c.record_key)).scalars())


def test_a_position_that_aemon_did_not_write_is_found_again(plant, monitor, store, caplog):
    # Given a monitor that has judged some records
    _, add = plant
    first = LEARNED
    for junk in JUNK:
        _log_once.cache_clear()
        caplog.clear()
        add(readings.rows(50, first=first))
        assert score(monitor)[2].counts.records_scored == 50
        # When its position is spoilt, and more records come
        spoil(store, position=junk)
        add(readings.rows(7, first=first + 50))
        outcome, reason, run = score(monitor)
        # Then these are judged, those known and those learned from are not
        assert (outcome, reason, run.counts.records_scored) == (Outcome.OK, "", 7)
        assert score(monitor)[0] is Outcome.NO_DATA
        assert caplog.text.count("a position of reading") == 1
        first += 57
    found = judged(store)
    assert len(found) == first - LEARNED
    assert set(found.values()) == {1}


def test_a_row_of_monitors_that_was_renamed_comes_back(plant, monitor, store, caplog):
    _, add = plant
    _log_once.cache_clear()
    _rename(store)
    add(readings.rows(7, first=LEARNED))
    outcome, _, run = score(monitor)
    assert (outcome, run.counts.records_scored) == (Outcome.OK, 7)
    assert "the row pumps of" in caplog.text
    assert score(monitor)[0] is Outcome.NO_DATA
    assert caplog.text.count("the row pumps of") == 1


def _rename(store):
    """Rename the monitor as a person with a plain SQL client can: without foreign keys."""
    rename = "UPDATE monitors SET name = 'pumps2'"
    if store.engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(store.engine.url.database)) as connection, connection:
            connection.execute(rename)
        return
    with store.writing() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(rename)


def test_junk_up_to_which_records_are_looked_for_begins_anew(plant, store, clock):
    settings, add = plant
    late = settings.model_copy(update={"lateness": timedelta(minutes=1)})
    train_once("pumps", late, store, clock)
    monitor = Monitor("pumps", late, store, clock)
    add(readings.rows(50, first=LEARNED))
    assert score(monitor)[2].counts.records_scored == 50
    mark = store.mark("pumps")
    noted = {"event_time": mark.watermark.event_time.isoformat(), "record_key": "1"}
    spoil(store, settled={**noted, "position": "{"})
    add(readings.rows(7, first=LEARNED + 50))
    outcome, reason, run = score(monitor)
    monitor.close()
    assert (outcome, reason, run.counts.records_scored) == (Outcome.OK, "", 7)
