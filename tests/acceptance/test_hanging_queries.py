"""Queries that hang: a run that timed out leaves none behind, and the end of the daemon neither."""

import time
from contextlib import closing

import psycopg
import pytest

from tests.processes import Daemon

pytestmark = [pytest.mark.acceptance, pytest.mark.postgresql]
ALL = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aemon' AND datname = current_database()"


def test_a_query_that_hangs_is_cancelled_with_its_run(postgres_url, tmp_path):
    query = "SELECT now() AS ts, 1 AS id, pg_sleep(600) AS flow"
    monitors = (
        f"  slow:\n    source: {{kind: sql, url: '{postgres_url}', query: '{query}', time: ts, key: id}}\n"
        "    score_every: 200ms\n    score_timeout: 500ms\n"
    )
    with closing(psycopg.connect(postgres_url, autocommit=True)) as server:

        def asked() -> int:
            return server.execute(ALL).fetchone()[0]

        with Daemon(tmp_path, monitors) as daemon:
            timed_out = "SELECT id FROM runs WHERE outcome = 'timed_out'"
            daemon.wait(lambda: len(daemon.query(timed_out)) >= 5, "runs to time out")
            assert daemon.log.read_text().count("score.timed_out") == 1  # the log tells it once
            assert asked() <= 2
            assert daemon.stop() < 12
            deadline = time.monotonic() + 10
            while asked():
                assert time.monotonic() < deadline, "a query runs on after the daemon's end"
                time.sleep(0.05)
