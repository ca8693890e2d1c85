"""What befalls a daemon that is left alone: slipped clocks, killed workers, sources that hang."""

import contextlib
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from aemon.clock import utc_now
from aemon.config.loading import load_config
from aemon.lifecycle.training_run import train_once
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store
from tests import readings
from tests.lacking import lacking
from tests.limits import no_more_threads, open_files
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 300


@pytest.fixture
def database(tmp_path):
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(LEARNED))
    return database


def plant(database, more="") -> str:
    return (
        f"  plant:\n    source: {sql_source(database)}\n    score_every: 300ms\n"
        f"    min_records: {LEARNED}\n    detector: {{steps: 60, members: 1}}\n{more}"
    )


def scored(daemon) -> list[int]:
    return sorted(int(key) for (key,) in daemon.query("SELECT record_key FROM scores"))


@pytest.fixture
def slipping_clock(tmp_path, monkeypatch):
    """Sets the wall clock of a daemon that is started after this, by so many seconds."""
    compiler, library = shutil.which("cc"), tmp_path / "slipping_clock.so"
    if compiler is None:
        lacking("a C compiler, for a clock that can be set")
    source = Path(__file__).parents[1] / "slipping_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("l", 0))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("SLIPPING_CLOCK", str(clock))

    def slip(seconds: int) -> None:
        with clock.open("r+b") as file:  # in place: the daemon has it mapped
            file.write(struct.pack("l", seconds))

    return slip


def test_a_clock_that_is_set_costs_no_record_doubles_none_and_removes_none(
    tmp_path, database, slipping_clock
):
    """By an hour there and back, by 400 days, and by six years at three ticks a second."""
    hour, day = 3600, 86_400
    with Daemon(tmp_path, plant(database)) as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "the first detector")
        memory = psutil.Process(daemon.process.pid).memory_info
        first, before = LEARNED, memory().rss
        for steps, offset in enumerate((0, hour, -hour, 0, 400 * day, 0, 6 * 365 * day, 0)):
            slipping_clock(offset)
            insert(database, "readings", readings.rows(40, first=first))
            first += 40
            wanted = first - LEARNED
            daemon.wait(lambda: len(scored(daemon)) >= wanted, "the ticks to go on", 20)  # noqa: B023
            # Two steps between two looks at the clock would be one.
            seen = lambda: daemon.log.read_text().count('"clock.set"')  # noqa: E731
            daemon.wait(lambda: seen() >= steps, "the step to be seen", 20)  # noqa: B023
            assert (daemon.get("/healthz") or "").startswith("ok")
        assert scored(daemon) == list(range(LEARNED, first))
        log = daemon.log.read_text()
        assert log.count('"clock.set"') == 7
        assert '"prune.held"' in log
        assert '"prune.ok"' not in log
        assert memory().rss < before + 100e6
        assert daemon.stop() < 10
    outcomes = {name for (name,) in daemon.query("SELECT DISTINCT outcome FROM runs")}
    assert outcomes <= {"ok", "no_data", "collecting", "skipped", "abandoned", "misfired"}


def test_a_killed_training_worker_is_a_failed_run_and_the_next_one_trains(tmp_path, database):
    slow = plant(database, "    train_every: 4s\n    life: {trial: false}\n").replace(
        "{steps: 60, members: 1}", "{steps: 4000, members: 8}"
    )
    with Daemon(tmp_path, plant(database)) as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "the first detector")
        daemon.stop()
    text = daemon.config.read_text()
    daemon.config.write_text(text[: text.index("monitors:")] + "monitors:\n" + slow)
    with daemon:
        # When the worker that trains the second detector is killed
        daemon.wait(lambda: "train.started" in daemon.log.read_text(), "a training")
        kill_worker(daemon)
        failed = "SELECT reason FROM runs WHERE job = 'train' AND outcome = 'failed'"
        daemon.wait(lambda: daemon.query(failed) != [], "the ledger to say so")
        assert "killed" in daemon.query(failed)[0][0]
        # Then scoring goes on meanwhile, and it is tried again
        insert(database, "readings", readings.rows(30, first=LEARNED))
        daemon.wait(lambda: len(scored(daemon)) == 30, "scoring to go on", 20)
        daemon.wait(lambda: len(daemon.query("SELECT 1 FROM detectors")) >= 2, "another training")
        assert daemon.stop() < 10


def kill_worker(daemon) -> None:
    """SIGKILL to the process that has torch loaded; the fork server has not."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in psutil.Process(daemon.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any("libtorch" in mapped.path for mapped in child.memory_maps()):
                    child.send_signal(signal.SIGKILL)
                    return
        time.sleep(0.05)
    raise AssertionError("no worker was found")


def test_a_training_that_takes_more_memory_than_it_may_is_ended_and_says_how_much(
    tmp_path, database
):
    small = plant(database, "    life: {train_memory: 150MB}\n")
    with Daemon(tmp_path, small) as daemon:
        failed = "SELECT reason FROM runs WHERE job = 'train' AND outcome = 'failed'"
        daemon.wait(lambda: daemon.query(failed) != [], "the ledger to say so")
        (reason,) = daemon.query(failed)[0]
        assert "MB, more than the allowed 150 MB" in reason
        assert "life.train_memory" in reason
        assert daemon.get("/healthz") is not None


def test_a_source_that_hangs_is_given_up_and_read_again_once_it_answers(tmp_path, database):
    """Given a database that somebody keeps locked beside a table that is well."""
    locked = tmp_path / "locked.db"
    make_table(locked, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(locked, "readings", readings.rows(10))
    hanging = (
        f"  hanging:\n    source: {sql_source(locked)}\n"
        "    score_every: 500ms\n    score_timeout: 1s\n    min_records: 50\n"
    )
    holder = sqlite3.connect(locked, isolation_level=None)
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    with Daemon(tmp_path, hanging + plant(database)) as daemon:
        timed_out = "SELECT count(*) FROM runs WHERE monitor = 'hanging' AND outcome = 'timed_out'"
        daemon.wait(lambda: daemon.query(timed_out)[0][0] >= 2, "runs to be given up")
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "the other to train")
        insert(database, "readings", readings.rows(30, first=LEARNED))
        daemon.wait(lambda: len(scored(daemon)) == 30, "the other to be judged")
        # When the lock is gone
        holder.close()
        collecting = "SELECT reason FROM runs WHERE monitor = 'hanging' AND outcome = 'collecting'"
        daemon.wait(lambda: daemon.query(collecting) != [], "it to be read again")
        assert daemon.query(collecting)[0][0] == "collecting 10 of 50 records"
        assert daemon.stop() < 10


def test_few_open_files_and_no_thread_to_be_had_lose_nothing_and_health_tells(tmp_path, database):
    """Given a daemon with 40 open files at most, then with none to open, then without threads."""
    daemon = Daemon(tmp_path, plant(database))
    store = Store(open_engine(daemon.store), utc_now)
    revisions.prepare(store.engine)
    store.add_monitors(["plant"])
    train_once("plant", load_config(daemon.config).monitors["plant"], store, utc_now)
    store.close()
    with daemon, open_files(daemon.process.pid, 40):
        with open_files(daemon.process.pid, 8):
            insert(database, "readings", readings.rows(20, first=LEARNED))
            daemon.wait(lambda: '"score.failed"' in daemon.log.read_text(), "a run to fail", 10)
            with pytest.raises(OSError, match="timed out"):  # no connection can be taken
                urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/healthz", timeout=1)
        daemon.wait(lambda: len(scored(daemon)) == 20, "scoring to go on", 20)
        daemon.wait(lambda: (daemon.get("/healthz") or "").startswith("ok"), "it to be well", 10)
        with no_more_threads(daemon.process.pid):
            insert(database, "readings", readings.rows(20, first=LEARNED + 20))
            daemon.wait(
                lambda: "not start a thread" in (daemon.get("/healthz") or ""), "health", 10
            )
            assert len(scored(daemon)) == 20
        daemon.wait(lambda: (daemon.get("/healthz") or "").startswith("ok"), "it to be well", 10)
        daemon.wait(lambda: len(scored(daemon)) == 40, "scoring to go on", 20)
        assert scored(daemon) == list(range(LEARNED, LEARNED + 40))
        assert daemon.stop() < 10
