"""A store that is away for a while: it is waited for, and afterwards nothing is missing."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from tests.plants import LEARNED, Plant, PostgresPlant, SqlitePlant, assert_whole, scored
from tests.postgres import Server, found_binaries, serve
from tests.processes import Daemon, small_disk

pytestmark = pytest.mark.acceptance
AWAY_SECONDS = 6.0
MOST_TRIES = 6  # in that time, with a pause that doubles from a second on
LEAST_TOLD = 10  # ticks that are told of the pause; others, that a run still tries
PIECE = 400
MONITORS = f"""
  plant:
    source: {{source}}
    score_every: 200ms
    score_timeout: 1s
    min_records: {LEARNED}
    chunk_records: 50
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own: the session's must not be disturbed."""
    with serve(found_binaries()) as server:
        yield server


def is_up(daemon: Daemon) -> bool:
    return daemon.metric("aemon_store_up") == 1


def learn(daemon: Daemon, plant: Plant) -> int:
    """Wait for the first verdicts; the first key that is not there yet."""
    daemon.wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "the first detector")
    plant.add(PIECE, first=LEARNED)
    daemon.wait(lambda: scored(plant) == PIECE, "the first verdicts")
    assert is_up(daemon)
    return LEARNED + PIECE


def watch_it_away(daemon: Daemon) -> None:
    """While the store is away the daemon lives, says so, and tries again ever more seldom."""
    daemon.wait(lambda: not is_up(daemon), "the store to be down", 30)
    tries, ticks = daemon.metric("aemon_store_errors_total"), daemon.ticks()
    time.sleep(AWAY_SECONDS)
    tries, ticks = daemon.metric("aemon_store_errors_total") - tries, daemon.ticks() - ticks
    assert daemon.process.poll() is None
    assert not is_up(daemon)
    assert daemon.metric("aemon_store_retry_timestamp_seconds") > time.time() - AWAY_SECONDS
    assert tries <= MOST_TRIES
    assert ticks > 3 * MOST_TRIES, "the scheduler ticks on"
    assert (daemon.get("/healthz") or "").startswith("ok")


def assert_it_came_back(daemon: Daemon, plant: Plant, total: int, *, lost_answers: int = 0) -> None:
    """Everything is scored, and every tick has its row."""
    daemon.wait(lambda: is_up(daemon), "the store to be up")
    assert daemon.metric("aemon_store_retry_timestamp_seconds") == 0
    daemon.wait(lambda: scored(plant) >= total - LEARNED, "every verdict")
    daemon.wait(lambda: daemon.metric("aemon_ledger_waiting_runs") == 0, "the ledger")
    assert_ledger_has_every_tick(daemon, plant, lost_answers)
    assert daemon.stop() < 10
    assert_whole(plant, total)
    skipped = plant.ask("SELECT reason FROM runs WHERE outcome = 'skipped' AND job = 'score'")
    told = [reason for (reason,) in skipped if reason.startswith("the store fails")]
    assert len(told) >= LEAST_TOLD


def assert_ledger_has_every_tick(daemon: Daemon, plant: Plant, lost_answers: int) -> None:
    """A commit whose answer was lost is written twice, so a few rows may be more."""

    def agrees() -> bool:
        before = daemon.ticks()
        rows = plant.ask("SELECT count(*) FROM runs WHERE job = 'score' AND outcome <> 'running'")
        return before <= rows[0][0] <= daemon.ticks() + lost_answers

    daemon.wait(agrees, "a row for every tick", 10)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGQUIT]
)
def test_a_server_that_is_stopped_and_started_again(server, tmp_path, how):
    plant = PostgresPlant(server.url)
    plant.add(LEARNED, first=0)
    with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        first = learn(daemon, plant)
        plant.add(PIECE, first=first)
        server.stop(how)
        watch_it_away(daemon)
        server.start()
        plant.add(PIECE, first=first + PIECE)
        assert_it_came_back(daemon, plant, first + 2 * PIECE, lost_answers=1)


@pytest.mark.soak
@pytest.mark.postgresql
@pytest.mark.timeout(0)
def test_a_server_that_is_gone_for_ten_minutes(server, tmp_path):
    """As long as AEMON_OUTAGE_SECONDS says; it is tried again once a minute at the least."""
    seconds = float(os.environ.get("AEMON_OUTAGE_SECONDS", "600"))
    plant = PostgresPlant(server.url)
    plant.add(LEARNED, first=0)
    with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        first = learn(daemon, plant)
        plant.add(PIECE, first=first)
        server.stop(signal.SIGINT)
        daemon.wait(lambda: not is_up(daemon), "the outage to be seen")
        time.sleep(seconds)
        assert (daemon.get("/healthz") or "").startswith("ok")
        server.start()
        began = time.monotonic()
        daemon.wait(lambda: is_up(daemon), "the store to be up", 120)
        print(f"\nback {time.monotonic() - began:.1f} s after the server")
        plant.add(PIECE, first=first + PIECE)
        assert_it_came_back(daemon, plant, first + 2 * PIECE, lost_answers=1)


@pytest.mark.soak
@pytest.mark.postgresql
def test_many_monitors_that_fail_together_wait_no_longer_than_one(server, tmp_path):
    """Their failures in one moment are one: each need not double the pause."""
    plant = PostgresPlant(server.url)
    plant.add(LEARNED, first=0)
    body = MONITORS.format(source=plant.source).split("\n", 2)[2]
    monitors = "".join(f"  m{number}:\n{body}" for number in range(8))
    with Daemon(tmp_path, monitors, store=plant.store) as daemon:
        daemon.wait(lambda: daemon.ticks() > 20, "all to tick")
        server.freeze()
        time.sleep(0.5)  # all of them are under way now
        server.kill()
        daemon.wait(lambda: daemon.metric("aemon_store_errors_total") >= 4, "many to fail", 30)
        server.start()
        began = time.monotonic()
        daemon.wait(lambda: is_up(daemon), "the store to be up")
        assert time.monotonic() - began < 10
        assert daemon.stop() < 10


@pytest.mark.postgresql
def test_a_server_that_hangs(server, tmp_path):
    """It answers nobody and refuses nobody, so only the daemon's own clock can tell."""
    plant = PostgresPlant(server.url)
    plant.add(LEARNED, first=0)
    with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        first = learn(daemon, plant)
        plant.add(PIECE, first=first)
        server.freeze()
        watch_it_away(daemon)
        server.thaw()
        plant.add(PIECE, first=first + PIECE)
        assert_it_came_back(daemon, plant, first + 2 * PIECE)
    timed_out = plant.ask("SELECT count(*) FROM runs WHERE outcome = 'timed_out'")
    assert timed_out[0][0] >= 2, "the one that met the frozen server, and one that tried again"


@pytest.mark.soak
@pytest.mark.postgresql
def test_a_server_that_hangs_does_not_keep_the_daemon_alive(server, tmp_path):
    plant = PostgresPlant(server.url)
    plant.add(LEARNED, first=0)
    with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        learn(daemon, plant)
        server.freeze()
        time.sleep(3)
        assert daemon.stop() < 10
        server.thaw()


def fill_and_make_room(
    daemon: Daemon, plant: Plant, *, fill: Callable[[], None], empty: Callable[[], None]
) -> None:
    """Records come in until the disk is full; later there is room again."""
    first = learn(daemon, plant)
    fill()
    while is_up(daemon):
        plant.add(PIECE, first=first)
        first += PIECE
        assert first < 100_000, "the disk never became full"
        time.sleep(0.3)
    watch_it_away(daemon)
    empty()
    plant.add(PIECE, first=first)
    assert_it_came_back(daemon, plant, first + PIECE)


def test_a_full_disk_under_sqlite(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        plant = SqlitePlant(tmp_path, disk)
        plant.add(LEARNED, first=0)
        monitors = MONITORS.format(source=plant.source)
        with Daemon(tmp_path, monitors, store=plant.store, prefix=disk.prefix) as daemon:
            fill_and_make_room(daemon, plant, fill=lambda: disk.fill(200_000), empty=disk.empty)


@pytest.mark.postgresql
def test_a_full_disk_under_postgresql(tmp_path):
    """Only the results lie on it: a server that cannot write its log ends at once."""
    with (
        small_disk(tmp_path / "disk", 64) as disk,
        serve(found_binaries(), prefix=disk.prefix) as server,
        closing(psycopg.connect(server.url, autocommit=True)) as connection,
    ):
        (disk.outside / "results").mkdir()
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}/results'")
        connection.execute("CREATE DATABASE results TABLESPACE small")
        plant = PostgresPlant(server.url, server.url.rpartition("/")[0] + "/results")
        plant.add(LEARNED, first=0)
        with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
            fill_and_make_room(daemon, plant, fill=lambda: disk.fill(500_000), empty=disk.empty)
