"""A monitor on a long table: late readings, corrected records, and training on its records."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store.schema.tables import scores
from tests import readings
from tests.processes import insert, make_table
from tests.readings import LEARNED

TAGS = ("flow", "pressure", "current")


def long_rows(count, *, first):
    """Two readings of each tag a bucket of two seconds: half a number below it and half above."""
    number = 6 * first
    for second, row in enumerate(readings.values(count, first=first).tolist(), start=first):
        for half, sign in ((0, -0.001), (1, 0.001)):
            for tag, value in zip(TAGS, row, strict=True):
                number += 1
                yield (number, 1_767_225_600 + 2 * second + half, tag, value + sign)


@pytest.fixture
def plant(tmp_path):
    path = tmp_path / "historian.db"
    make_table(path, "long", ["ts INTEGER", "tag TEXT", "value REAL"])
    insert(path, "long", long_rows(LEARNED, first=0))
    return path


@pytest.fixture
def settings_of(plant):
    def settings_of(**more):
        source = {
            "kind": "sql", "url": f"sqlite:///{plant}", "table": "long", "time": "ts", "key": "id",
            "time_format": "unix", "pivot": {"name": "tag", "value": "value"},
            "bucket": {"every": "2s", "wait": timedelta(0)},
        }  # fmt: skip
        return MonitorSettings.model_validate(
            {
                "source": source, "score_every": "1s", "min_records": LEARNED, "chunk_records": 40,
                "detector": {"steps": 60, "members": 1}, **more,
            }
        )  # fmt: skip

    return settings_of


def score(settings, store, clock):
    """Score in a process of its own; what it told and counted."""
    monitor = Monitor("pumps", settings, store, clock)
    run = Run()
    outcome, told = monitor.score_once(run, Stop())
    monitor.close()
    return outcome, told, run.counts


def verdicts(store):
    with store.reading() as connection:
        rows = connection.execute(sa.select(scores.c.record_key, scores.c.revision)).all()
    return sorted(tuple(row) for row in rows)


@pytest.mark.parametrize("lateness", [None, "1h"])
def test_late_readings_are_told_and_with_lateness_judged(
    plant, settings_of, store, clock, lateness
):
    # Given: a detector of the records so far, and judged ones behind them
    settings = settings_of(lateness=lateness)
    train_once("pumps", settings, store, clock)
    insert(plant, "long", long_rows(50, first=LEARNED))
    outcome, _, counts = score(settings, store, clock)
    assert (outcome, counts.records_scored) == (Outcome.OK, 50)
    judged = verdicts(store)
    assert len(set(judged)) == 50
    # When: a reading comes behind its bucket
    late = 1_767_225_600 + 2 * (LEARNED + 20)
    insert(plant, "long", [(10**6, late, "flow", 500.0)])
    outcome, told, counts = score(settings, store, clock)
    # Then: it is told, and its record is judged again where somebody asked for that
    assert "1 reading arrived after the record was made" in told
    if lateness is None:
        assert verdicts(store) == judged
    else:
        assert counts.records_revised == 1
        assert len(verdicts(store)) == 51
    # And: once.
    _, told, counts = score(settings, store, clock)
    assert "arrived after" not in told
    assert counts.records_scored + counts.records_revised == 0
