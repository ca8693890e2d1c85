"""One record that no database can hold stops neither its monitor nor the store: it is set aside."""

import json
import random
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.errors import RefusedError
from aemon.frame import MOST_IDENTITY_BYTES
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.monitoring.verdict_rows import LONGEST_CELL
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store.schema.tables import anomalies, scores
from tests import readings
from tests.readings import LEARNED

LONG = random.Random(5).randbytes(2_000).hex()  # a database cannot make it shorter
IDENTITIES = {
    "key": (LONG, "p1"),
    "entity": ("500", LONG),
    "both": (LONG[:1_200], LONG[:1_200]),
    "letters of three bytes": ("\u20ac" * 700, "p1"),
    "1 MB": ("x" * 1_000_000, "p1"),
}
NOTES = {
    "25 kB": LONG * 6,
    "NUL": "a\0b",
    "escape": "\x1b[2J\u202e",
    "bytes": b"\xff\x00\xfe",
    "no UTF-8": sqlite3.Binary(b"\xff\xfe"),
    "emoji": "\U0001f4a3" * 5_000,
    "json": json.dumps({"a": ["\ud800"] * 100}),
}


@pytest.fixture
def plant(tmp_path):
    """A table whose keys and entities are text, with a column of notes; adds rows to it."""
    with closing(sqlite3.connect(tmp_path / "plant.db", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE readings (id TEXT, ts TEXT, pump TEXT, flow, pressure, current, note)"
        )

        def add(number, key=None, pump="p1", note="calm", *, flow=None):
            _, ts, *values = next(readings.rows(1, first=number))
            connection.execute(
                "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key or str(number),
                    ts,
                    pump,
                    values[0] if flow is None else flow,
                    *values[1:],
                    note,
                ),
            )

        for number in range(LEARNED):
            add(number, note=("calm", "windy", "wet")[number % 3])
        yield add


@pytest.fixture
def monitor(plant, store, clock, tmp_path):
    settings = MonitorSettings.model_validate(
        {
            "source": {
                "kind": "sql", "url": f"sqlite:///{tmp_path}/plant.db", "table": "readings",
                "time": "ts", "key": "id", "entity": "pump",
            },
            "score_every": "1s", "min_records": LEARNED, "detector": {"steps": 30, "members": 1},
            "threshold": {"false_alarm_rate": 0.01},
        }
    )  # fmt: skip
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


def judged(store):
    with store.reading() as connection:
        return set(connection.execute(sa.select(scores.c.record_key)).scalars())


def test_records_that_no_index_can_hold_are_set_aside_and_the_rest_is_judged(plant, monitor, store):
    for number, (key, pump) in enumerate(IDENTITIES.values()):
        plant(LEARNED + 2 * number, key, pump)
        plant(LEARNED + 2 * number + 1)
    longest = LONG[: MOST_IDENTITY_BYTES - 2]
    plant(LEARNED + 100, longest, "p1")
    run = Run()
    outcome, reason = monitor.score_once(run, Stop())
    assert outcome is Outcome.OK
    assert run.counts.rejected == {"key_too_long": len(IDENTITIES)}
    assert f"{len(IDENTITIES)} with a key and entity of more than 2,000 bytes, such as" in reason
    assert len(reason) < 300
    assert judged(store) == {*(str(LEARNED + 2 * n + 1) for n in range(5)), longest}


def test_cells_of_any_text_are_judged_and_stored(plant, monitor, store):
    for number, note in enumerate(NOTES.values()):
        plant(LEARNED + number, note=note, flow=-50)
    run = Run()
    outcome, _ = monitor.score_once(run, Stop())
    assert outcome is Outcome.OK
    assert judged(store) == {str(LEARNED + number) for number in range(len(NOTES))}
    with store.reading() as connection:
        found = connection.execute(sa.select(anomalies.c.observed, anomalies.c.reason)).all()
    assert max(len(str(observed["note"])) for observed, _ in found) == LONGEST_CELL + 3
    assert max(len(reason) for _, reason in found) < 1_000
    assert monitor.score_once(Run(), Stop())[0] is Outcome.NO_DATA


def test_rows_that_a_database_refuses_are_no_outage(store):
    if store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite indexes text of any length")
    with store.writing() as connection:
        connection.execute(sa.text("CREATE TABLE t (x text PRIMARY KEY)"))
    insert = sa.text("INSERT INTO t VALUES (:x)").bindparams(x=LONG * 2)
    with pytest.raises(RefusedError), store.writing() as connection:
        connection.execute(insert)
