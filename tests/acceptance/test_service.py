"""The daemon as a service: what systemd hears of it, and what it answers when asked."""

import json
import socket
from pathlib import Path

import pytest

from tests import readings
from tests.cli.commands import run
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 200
MONITORS = f"""
  pumps:
    source: {{source}}
    score_every: 1s
    min_records: {LEARNED}
    detector: {{{{steps: 60, members: 1}}}}
  fans:
    source: {{source}}
    score_every: 1s
    min_records: 9000
"""


@pytest.fixture
def monitors(tmp_path) -> str:
    make_table(tmp_path / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(tmp_path / "plant.db", "readings", readings.rows(LEARNED))
    return MONITORS.format(source=sql_source(tmp_path / "plant.db"))


def test_systemd_hears_that_it_is_ready_that_it_lives_and_that_it_stops(
    tmp_path, monitors, monkeypatch
):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{tmp_path}/notify")
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        with Daemon(tmp_path, monitors) as daemon:
            heard = [systemd.recv(4096).decode() for _ in range(5)]
            assert heard[0] == "READY=1"
            assert "STATUS=2 monitors, 2 learning" in heard
            assert heard.count("WATCHDOG=1") >= 3
            daemon.process.terminate()
            while heard[-1] != "STOPPING=1\nSTATUS=stopping":
                heard.append(systemd.recv(4096).decode())
            assert daemon.process.wait(20) == 0


def test_status_asks_the_daemon_and_without_one_the_store(tmp_path, monitors, monkeypatch):
    def ask(*more: str) -> str:
        return run(Path(tmp_path), "status", *more).stdout

    monkeypatch.setenv("COLUMNS", "200")
    with Daemon(tmp_path, monitors) as daemon:
        address = f"127.0.0.1:{daemon.port}"
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "a detector")
        first, *table = ask().splitlines()
        assert first.startswith(f"from the daemon at {address}: aemon ")
        assert first.endswith("watches 2 of 2 monitors")
        by_daemon = json.loads(ask("--json"))
        assert daemon.stop() < 10
    line, *same = ask().splitlines()
    assert line == f"from the store: the daemon does not answer at {address}"
    assert [entry.split()[0] for entry in same[:2]] == [entry.split()[0] for entry in table[:2]]
    by_store = json.loads(ask("--json"))
    assert [entry["told_by"] for entry in (*by_daemon, *by_store)] == 2 * ["daemon"] + 2 * ["store"]
    assert [entry["held"] for entry in (*by_daemon, *by_store)] == [True] * 2 + [False] * 2
    assert by_daemon[0].keys() == by_store[0].keys()
