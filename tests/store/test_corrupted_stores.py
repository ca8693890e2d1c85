"""Stores with values that aemon never wrote: each run ends well or with an error of ours."""

import random
import shutil
import sqlite3
import traceback
from contextlib import closing
from datetime import UTC, datetime

import pytest

from aemon.config.schema import Config
from aemon.errors import AemonError
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.operations.installation import Installation
from aemon.operations.status_report import stored_status
from aemon.run import Run, Stop
from aemon.store.detectors import detector_rows
from aemon.store.engine import open_engine
from aemon.store.episode_queries import episode_summaries
from aemon.store.feedback import add_feedback, read_feedback
from aemon.store.queries import flagged_records
from aemon.store.schema import revisions
from aemon.store.schema.tables import metadata
from aemon.store.store import Store
from tests import readings
from tests.processes import insert, make_table

LEARNED, SHORT = 60, 60
ONCE_UNFORESEEN = (112, 188, 228)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = (
    "", "{", "null", "[]", "7", '"x"', "{}", '{"event_time": 7}', '{"flow": "x"}', '{"flow": null}',
    '{"a": {"b": [1]}}', "NaN", "soon", "2026-12-24 24:00:00", "-1", "\U0001f4a3" * 50, "a\0b", "x" * 5_000,
    '{"time": ["text", 1], "key": ["int", "x"]}', '{"time": ["nothing", 1]}', "[" * 10_000,
    '{"newest_key": ["int", 9], "missing": 5}', '{"scores": {}, "columns": 1}',
)  # fmt: skip
NUMBERS = (-1, 0, 1, 2**31, 2**62, -(2**63))
REALS = (0.0, -1.5, 1e308, 9e999, -9e999, 5e-324)


def settings(folder) -> dict:
    return {
        "source": {
            "kind": "sql", "url": f"sqlite:///{folder}/plant.db", "table": "readings", "time": "ts",
            "key": "id",
        },
        "score_every": "1s", "min_records": LEARNED, "chunk_records": 40,
        "detector": {"steps": 20, "members": 1}, "threshold": {"false_alarm_rate": 0.02},
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a source and a store that has a bit of everything."""
    folder = tmp_path_factory.mktemp("whole")
    make_table(folder / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "readings", readings.rows(LEARNED))
    config = Config.model_validate({"monitors": {"pumps": settings(folder)}})
    store = opened(folder / "aemon.db")
    revisions.prepare(store.engine)
    store.add_monitors(["pumps"])
    train_once("pumps", config.monitors["pumps"], store, lambda: NOW)
    late = [
        (n, ts, *((9.0, 2.2, 0.8) if n % 9 < 3 else rest))
        for n, ts, *rest in readings.rows(30, first=LEARNED)
    ]
    insert(folder / "plant.db", "readings", late)
    score(config, store)
    add_feedback(store, "pumps", "false_alarm", record_key=str(LEARNED + 3))
    add_feedback(store, "pumps", "ignore_until", until=NOW)
    train_once("pumps", config.monitors["pumps"], store, lambda: NOW, trial=True)
    insert(folder / "plant.db", "readings", readings.rows(5, first=LEARNED + 30))
    store.close()
    with closing(sqlite3.connect(folder / "aemon.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def opened(path) -> Store:
    return Store(open_engine(f"sqlite:///{path}"), lambda: NOW)


def score(config, store) -> None:
    monitor = Monitor("pumps", config.monitors["pumps"], store, lambda: NOW)
    try:
        monitor.score_once(Run(), Stop())
    finally:
        monitor.close()


def corrupt(path, rng) -> str:
    """Change some values of one column, as no check sees it; what was done."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = on")
        tables = [
            name
            for name in metadata.tables
            if connection.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0]
        ]
        for _ in range(20):
            table = rng.choice(tables)
            column = rng.choice(connection.execute(f"PRAGMA table_info({table})").fetchall())
            kind = column[2]
            value = rng.choice(
                TEXTS if kind == "TEXT" else REALS if kind == "REAL" else NUMBERS if kind == "INTEGER" else (b"", b"\0" * 99)
            )  # fmt: skip
            try:
                connection.execute(
                    f"UPDATE {table} SET {column[1]} = ? WHERE random() % 2 = 0 OR 1 = ?",
                    (value, rng.randrange(2)),
                )
            except sqlite3.Error:
                continue
            return f"{table}.{column[1]} = {str(value)[:60]!r}"
    return "nothing"


def use(config, store) -> list[str]:
    """Do what a daemon and a person do; what is no error of ours."""
    installation = Installation(config, store, lambda: NOW)
    wrong = []
    for name, what in {
        "score": lambda: score(config, store),
        "score again": lambda: score(config, store),
        "status": lambda: stored_status(installation),
        "detectors": lambda: detector_rows(store, "pumps"),
        "episodes": lambda: [one.like for one in episode_summaries(store, ["pumps"])],
        "flagged": lambda: flagged_records(store, monitor="pumps", limit=9),
        "feedback": lambda: read_feedback(store, "pumps"),
    }.items():
        try:
            what()
        except AemonError:
            continue
        except Exception as error:  # noqa: BLE001 -- that there is none is what is tested
            wrong.append(f"{name}: {error!r} {traceback.extract_tb(error.__traceback__)[-1]}")
    return wrong


def check(whole, tmp_path, seeds) -> None:
    shutil.copy(whole / "plant.db", tmp_path / "plant.db")
    config = Config.model_validate({"monitors": {"pumps": settings(tmp_path)}})
    found = {}
    for seed in seeds:
        path = tmp_path / f"{seed}.db"
        shutil.copy(whole / "aemon.db", path)
        done = corrupt(path, random.Random(seed))
        store = opened(path)
        wrong = use(config, store)
        store.close()
        for left in tmp_path.glob(f"{seed}.db*"):
            left.unlink()
        if wrong:
            found[seed, done] = wrong
    assert not found, "\n".join(f"{key}: {text}" for key, text in found.items())


def test_a_corrupted_store_ends_no_run_in_an_unforeseen_way(whole, tmp_path):
    check(whole, tmp_path, [*range(SHORT), *ONCE_UNFORESEEN])


@pytest.mark.soak
def test_many_corrupted_stores_end_no_run_in_an_unforeseen_way(whole, tmp_path):
    check(whole, tmp_path, range(SHORT, 11 * SHORT))
