import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from aemon.demo.feed import Feed, main, write_in_real_time
from aemon.demo.plant import Plant
from aemon.demo.plant_database import open_plant_database, path_of, read_planted_faults, write
from aemon.demo.planted_faults import fault_schedule
from aemon.errors import SourceConfigError

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def feed(**schedule):
    plant = Plant(seed=7)
    return Feed(plant, START, fault_schedule(plant, **schedule))


def after(seconds):
    return START + timedelta(seconds=seconds)


def test_every_tick_is_handed_out_once_in_time_order():
    # Given one feed asked often, at odd times, and one asked once
    often, once = feed(), feed()
    rows = [row for step in range(200) for row in often.until(after(step * 0.237))[0]]
    # Then both give the same rows
    everything, _ = once.until(after(199 * 0.237))
    assert rows == everything
    assert len(rows) == 4 * (int(199 * 2.37) + 1)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len({(row[0], row[1]) for row in rows}) == len(rows)


def test_a_clock_set_back_gives_nothing_twice():
    plant = feed()
    assert len(plant.until(after(1))[0]) == 44
    assert plant.until(after(0.5)) == ([], [])
    assert len(plant.until(after(1.1))[0]) == 4


def test_a_fault_is_told_when_it_begins():
    plant = feed(first_at=2.0, until=15)
    assert plant.until(after(1.9))[1] == []
    (begun,) = plant.until(after(2.0))[1]
    assert begun.started_at == after(2)
    assert begun.ended_at == after(7)
    assert [fault.started_at for fault in plant.until(after(60))[1]] == []


def test_missing_readings_become_null(tmp_path):
    connection = open_plant_database(tmp_path / "plant.db")
    rows, faults = feed().until(after(90))
    write(connection, rows, faults)
    nulls = "SELECT count(*) FROM readings WHERE flow IS NULL OR pressure IS NULL OR temperature IS NULL"
    assert connection.execute(nulls).fetchone()[0] > 5
    assert connection.execute("SELECT count(DISTINCT valve) FROM readings").fetchone()[0] == 2
    connection.close()


def test_planted_faults_come_back_and_join_with_the_readings(tmp_path):
    path = tmp_path / "plant.db"
    connection = open_plant_database(path)
    rows, faults = feed(until=85).until(after(90))
    write(connection, rows, faults)
    assert list(read_planted_faults(path)) == faults
    joined = connection.execute(
        "SELECT f.kind, count(*) FROM planted_faults f JOIN readings r ON r.pump_id = f.pump_id"
        " AND r.ts >= f.started_at AND r.ts < f.ended_at GROUP BY f.kind"
    ).fetchall()
    connection.close()
    assert len(joined) == 5
    assert {count for _, count in joined} == {50}


def test_the_feed_writes_until_it_is_told_to_stop(tmp_path):
    connection = open_plant_database(tmp_path / "plant.db")
    times = iter([after(0), after(0.2), after(0.4)])
    stops = iter([False, False, False, True])
    slept = []
    write_in_real_time(
        feed(), connection, stop=lambda: next(stops), clock=lambda: next(times), sleep=slept.append
    )
    assert connection.execute("SELECT count(*) FROM readings").fetchone() == (4 * 5,)
    assert len(slept) == 3
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("url", ["plant.db", "sqlite://", "postgresql://host/db", "sqlite:///"])
def test_a_url_without_a_sqlite_file_is_refused(url):
    with pytest.raises(SourceConfigError, match="no SQLite file"):
        path_of(url)


def test_an_unwritable_database_ends_the_feed_with_a_message(tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/no/such/folder/plant.db"
    assert main(["--url", url, "--seconds", "1"]) == SourceConfigError.exit_code
    assert "cannot write the plant's database" in capsys.readouterr().err


def start(path, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "aemon.demo.feed", "--url", f"sqlite:///{path}", *more],
        stderr=subprocess.PIPE,
    )


def count(path):
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as plant:
        return plant.execute("SELECT count(*) FROM readings").fetchone()[0]
    return 0


def wait_for_rows(path, seconds=10.0):
    deadline = time.monotonic() + seconds
    while count(path) < 20:
        assert time.monotonic() < deadline, "the plant wrote nothing"
        time.sleep(0.05)


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_plant_cleanly(tmp_path, number):
    path = tmp_path / "plant.db"
    with start(path) as process:
        wait_for_rows(path)
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert process.stderr.read() == b""
    with contextlib.closing(sqlite3.connect(path)) as plant:
        newest = plant.execute("SELECT max(ts) FROM readings").fetchone()[0]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(newest)) < timedelta(seconds=5)


@pytest.mark.acceptance
def test_the_plant_ends_after_its_seconds(tmp_path):
    path = tmp_path / "plant.db"
    with start(path, "--seconds", "0.6") as process:
        assert process.wait(timeout=10) == 0
    assert 20 <= count(path) <= 60


@pytest.mark.acceptance
def test_the_plant_dies_with_its_parent(tmp_path):
    # Given a plant whose parent is killed without a chance to clean up
    path = tmp_path / "plant.db"
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-m', 'aemon.demo.feed', '--url', sys.argv[1]]);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, f"sqlite:///{path}"], stdout=subprocess.PIPE
    ) as parent:
        plant = int(parent.stdout.readline())
        wait_for_rows(path)
        parent.kill()
    # Then it stops writing and goes
    deadline = time.monotonic() + 5
    while runs(plant):
        assert time.monotonic() < deadline, "the plant outlived its parent"
        time.sleep(0.05)


def runs(process_id):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        os.kill(process_id, 0)
        with open(f"/proc/{process_id}/stat", encoding="ascii") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
