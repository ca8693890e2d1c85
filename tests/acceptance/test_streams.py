"""`kill -9` between two runs: what a stream said until a moment ago is in the store."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

from tests.processes import Daemon

MONITORS = """
  host:
    source: {kind: host, sample_every: 100ms}
    score_every: 1h
"""
LATEST_SECONDS = 2.5  # written every second, and a busy machine takes its time


def query(store: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(sql).fetchall()


def newest(store: Path) -> datetime | None:
    ((time_,),) = query(store, "SELECT max(event_time) FROM history")
    return datetime.fromisoformat(f"{time_}+00:00") if time_ else None


def test_a_kill_between_two_runs_loses_no_more_than_the_last_moment(tmp_path):
    store = tmp_path / "aemon.db"
    with Daemon(tmp_path, MONITORS) as daemon:
        daemon.wait(lambda: newest(store) is not None, "the first records")
        time.sleep(5)
        killed = time.time()
        daemon.kill()
    (first, last, count) = query(store, "SELECT min(id), max(id), count(*) FROM history")[0]
    assert killed - newest(store).timestamp() < LATEST_SECONDS
    assert count == last - first + 1
    # Of ten records a second, most of those of the five seconds are there
    assert count >= 20


def test_an_orderly_end_writes_the_last_records(tmp_path):
    store = tmp_path / "aemon.db"
    with Daemon(tmp_path, MONITORS) as daemon:
        daemon.wait(lambda: newest(store) is not None, "the first records")
        asked = time.time()
        daemon.stop()
    assert asked - newest(store).timestamp() < 1
