"""Stopping: within ten seconds, whatever hangs."""

import socket
import sqlite3
import threading
import time

import pytest

from tests import readings
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance


def test_a_source_that_hangs_does_not_keep_the_daemon_alive(tmp_path):
    """Given a server that takes connections and never answers, and a timeout of minutes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/plant"
        monitors = (
            f"  hanging:\n    source: {{kind: sql, url: '{url}', table: t, time: ts, key: id}}\n"
            "    score_every: 1s\n"
        )
        with Daemon(tmp_path, monitors) as daemon:
            asked, _ = silent.accept()
            assert daemon.stop() < 10
            asked.close()
        outcomes = dict(daemon.query("SELECT outcome, count(*) FROM runs GROUP BY outcome"))
    assert outcomes["abandoned"] == 1


def test_a_locked_store_does_not_keep_the_daemon_alive(tmp_path):
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(100))
    monitors = "".join(
        f"  m{number}:\n    source: {sql_source(database)}\n    score_every: 200ms\n"
        for number in range(8)
    )
    with Daemon(tmp_path, monitors) as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM runs") != [], "the first run")
        lock = sqlite3.connect(tmp_path / "aemon.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        release = threading.Timer(20, lock.interrupt)
        time.sleep(1)
        assert daemon.get("/healthz") is not None, "the scheduler ticks on"
        assert daemon.stop() < 10
        release.cancel()
        lock.close()
