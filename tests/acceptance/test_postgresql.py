"""The daemon between two PostgreSQL roles: source and store in one real server."""

import signal
from contextlib import closing

import psycopg
import pytest

from tests import readings
from tests.processes import Daemon

pytestmark = [pytest.mark.acceptance, pytest.mark.postgresql]
LEARNED = 300


def add(connection, rows) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO readings VALUES (%s, %s, %s, %s, %s)", list(rows))


def test_every_row_is_judged_once_and_joins_back_to_its_source(postgres_url, tmp_path):
    monitors = (
        f"  plant:\n    source: {{kind: sql, url: '{postgres_url}', table: readings, time: ts,"
        f" key: id}}\n    score_every: 200ms\n    min_records: {LEARNED}\n    chunk_records: 70\n"
    )
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(
            "CREATE TABLE readings (id bigint PRIMARY KEY, ts timestamptz,"
            " flow float8, pressure numeric, current real)"
        )
        add(connection, readings.rows(LEARNED))

        def ask(sql: str):
            return connection.execute(sql).fetchone()[0]

        with Daemon(tmp_path, monitors, store=postgres_url) as daemon:
            daemon.wait(lambda: ask("SELECT count(*) FROM detectors") == 1, "a detector")
            add(connection, readings.rows(500, first=LEARNED))
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            add(connection, readings.rows(200, first=LEARNED + 500))
            odd = readings.START.replace(hour=9).isoformat()
            add(connection, [(99_999, odd, 9.0, 2.2, 0.8)])
            daemon.start()
            daemon.wait(lambda: ask("SELECT count(*) FROM scores") >= 701, "all verdicts")
            assert daemon.stop() < 10
        judged = connection.execute(
            "SELECT count(*), count(DISTINCT record_key), min(record_key::bigint) FROM scores"
        ).fetchone()
        assert judged == (701, 701, LEARNED)
        joined = connection.execute(
            "SELECT r.flow, f.observed, f.p_value < 0.001 FROM flagged_records f"
            " JOIN readings r ON CAST(r.id AS TEXT) = f.record_key WHERE r.id = 99999"
        ).fetchall()
        assert len(joined) == 1
        assert joined[0][2]
