"""Stopping and starting in mid-stream: every record is judged exactly once."""

import signal
import time

import pytest

from tests import readings
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 300
MONITORS = """
  plant:
    source: {source}
    score_every: 200ms
    min_records: 300
    chunk_records: 50
"""


@pytest.fixture
def daemon(tmp_path):
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(LEARNED))
    with Daemon(tmp_path, MONITORS.format(source=sql_source(database))) as daemon:
        yield daemon


def scored(daemon) -> int:
    rows = daemon.query("SELECT count(*) FROM scores")
    return rows[0][0] if rows else 0


def stream_with_interruptions(daemon, interrupt, *, pieces=8, piece=400) -> int:
    daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "the first detector")
    first = LEARNED
    for number in range(pieces):
        insert(daemon.folder / "plant.db", "readings", readings.rows(piece, first=first))
        first += piece
        time.sleep(0.15)
        if number % 3 == 1:
            interrupt(daemon)
            daemon.start()
    return first


def assert_all_judged_once(daemon, total: int) -> None:
    wanted = total - LEARNED
    daemon.wait(lambda: scored(daemon) >= wanted, f"{wanted} verdicts")
    keys = [int(key) for (key,) in daemon.query("SELECT record_key FROM scores")]
    assert sorted(keys) == list(range(LEARNED, total))
    orphans = daemon.query(
        "SELECT count(*) FROM anomalies a LEFT JOIN scores s USING (monitor, entity, record_key)"
        " WHERE s.record_key IS NULL OR s.verdict != 'anomaly'"
    )
    assert orphans == [(0,)]


def test_sigterm_ends_within_ten_seconds_and_no_record_is_lost_or_doubled(daemon):
    seconds = []
    total = stream_with_interruptions(daemon, lambda daemon: seconds.append(daemon.stop()))
    assert_all_judged_once(daemon, total)
    assert max(seconds) < 10
    assert daemon.stop() < 10


def test_kill_9_in_mid_stream_loses_and_doubles_nothing(daemon):
    def kill(daemon):
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()

    total = stream_with_interruptions(daemon, kill)
    assert_all_judged_once(daemon, total)


def test_sigterm_during_training_leaves_no_half_detector(tmp_path):
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(3000))
    slow = MONITORS.replace("min_records: 300", "min_records: 3000").format(
        source=sql_source(database)
    )
    with Daemon(tmp_path, slow + "    detector: {steps: 1000000, members: 32}\n") as daemon:
        daemon.wait(lambda: "train.started" in daemon.log.read_text(), "the training to start")
        time.sleep(1)
        assert daemon.stop() < 10
        assert daemon.query("SELECT count(*) FROM detectors") == [(0,)]
        outcomes = daemon.query("SELECT outcome FROM runs WHERE job = 'train'")
        assert outcomes in ([], [("abandoned",)])
