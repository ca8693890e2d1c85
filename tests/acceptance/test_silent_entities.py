"""The daemon beside pumps of which one falls silent."""

from datetime import timedelta

import pytest

from tests.cli.commands import run
from tests.processes import Daemon, insert, make_table, sql_source
from tests.readings import START, values

pytestmark = pytest.mark.acceptance
LEARNED = 600
MONITORS = """
  pumps:
    source: {source}
    score_every: 300ms
    min_records: {learned}
    detector: {{steps: 60, members: 1, window: 1}}
"""


def rows(count, *, first, pumps=("p1", "p2", "p3")):
    for number, record in enumerate(values(count, first=first), start=first):
        time = START + timedelta(seconds=number)
        yield (number, time.isoformat(), pumps[number % len(pumps)], *record.tolist())


def test_a_silent_entity_is_seen_by_people_and_by_prometheus(tmp_path):
    database = tmp_path / "plant.db"
    columns = ["ts TEXT", "pump TEXT", "flow REAL", "pressure REAL", "current REAL"]
    make_table(database, "readings", columns)
    insert(database, "readings", rows(LEARNED, first=0))
    monitors = MONITORS.format(source=sql_source(database, entity="pump"), learned=LEARNED)
    silent = 'aemon_entities_silent{monitor="pumps"}'
    with Daemon(tmp_path, monitors) as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") == [(1,)], "a detector")
        insert(database, "readings", rows(60, first=LEARNED, pumps=("p1", "p2")))
        daemon.wait(lambda: silent in (daemon.get("/metrics") or ""), "the metric")
        daemon.wait(lambda: daemon.metric(silent) == 1, "one silent entity")
        assert "p3 is silent: no record since" in daemon.get("/")
        told = " ".join(run(tmp_path, "status").stdout.split())
        assert "p3 is silent" in told
        daemon.kill()
    with Daemon(tmp_path, monitors) as daemon:
        # It is still silent after a restart, and no longer once it sends
        daemon.wait(lambda: silent in (daemon.get("/metrics") or ""), "the metric")
        daemon.wait(lambda: daemon.metric(silent) == 1, "one silent entity")
        insert(database, "readings", rows(6, first=LEARNED + 60))
        daemon.wait(lambda: daemon.metric(silent) == 0, "no silent entity")
