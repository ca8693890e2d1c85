"""Results of a real monitor, in both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.lifecycle.training_run import train_once
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store
from tests import readings

LEARNED = 200
FIRST = datetime(2026, 11, 20, 6, tzinfo=UTC)
ODD = 4711


@pytest.fixture(scope="module")
def morning():
    class Clock:
        now = datetime(2026, 11, 20, 8, tzinfo=UTC)

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def results(store_url, morning):
    """A store with the source table `readings` beside it, judged this morning."""
    engine = open_engine(store_url)
    revisions.prepare(engine)
    store = Store(engine, morning)
    store.add_monitors(["pumps"])

    def add(rows):
        with store.writing() as connection:
            connection.execute(
                sa.text("INSERT INTO readings VALUES (:id, :ts, :flow, :pressure, :current)"),
                [
                    dict(zip(("id", "ts", "flow", "pressure", "current"), row, strict=True))
                    for row in rows
                ],
            )

    def at(number: int) -> str:
        return (FIRST + timedelta(seconds=number)).isoformat()

    with store.writing() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, flow DOUBLE PRECISION,"
                " pressure DOUBLE PRECISION, current DOUBLE PRECISION)"
            )
        )
    add((n, at(n), *values) for n, _, *values in readings.rows(LEARNED))
    settings = MonitorSettings.model_validate(
        {
            "source": {
                "kind": "sql",
                "url": store_url,
                "table": "readings",
                "time": "ts",
                "key": "id",
            },
            "score_every": "1s",
            "min_records": LEARNED,
            "detector": {"steps": 60, "members": 1},
            "threshold": {"false_alarm_rate": 0.01},
        }
    )
    train_once("pumps", settings, store, morning)
    add((n, at(n), *values) for n, _, *values in readings.rows(100, first=LEARNED))
    add([(ODD, at(500), 9.0, 2.2, 0.8)])
    yield store, settings
    store.close()
