"""The daemon beside a machine that is switched on and off, and changes its product."""

import json

import pytest

from tests import machines
from tests.cli.commands import run
from tests.machines import is_on, is_warming
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 400
MACHINE = """
  machine:
    source: {source}
    score_every: 300ms
    min_records: {learned}
    columns: {{only_when: speed > 10, settle: 5s}}
    detector: {{steps: 60, members: 1}}
"""


def test_records_at_rest_are_idle_also_across_a_restart(tmp_path):
    # Given a machine whose daemon has learned
    database = tmp_path / "plant.db"
    make_table(database, "readings", machines.COLUMNS)
    insert(database, "readings", machines.rows(LEARNED))
    source = sql_source(database, entity="machine")
    monitors = MACHINE.format(source=source, learned=LEARNED)
    scored = "SELECT count(*) FROM scores"
    with Daemon(tmp_path, monitors) as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") == [(1,)], "a detector")
        # When records come until just after it was switched on, and the daemon is killed
        insert(database, "readings", machines.rows(102, first=LEARNED))
        daemon.wait(lambda: daemon.query(scored) == [(102,)], "102 verdicts")
        daemon.kill()
    with Daemon(tmp_path, monitors) as daemon:
        insert(database, "readings", machines.rows(60, first=LEARNED + 102, fault=LEARNED + 130))
        daemon.wait(lambda: daemon.query(scored) == [(162,)], "162 verdicts")
        # Then what is at rest or warming up is not judged, and the fault is found
        found = dict(daemon.query("SELECT CAST(record_key AS INTEGER), verdict FROM scores"))
        for key, verdict in found.items():
            assert (verdict == "idle") == (not is_on(key) or is_warming(key)), key
        assert found[LEARNED + 130] == "anomaly"
        wanted = sum(
            is_on(key) and not is_warming(key) for key in range(LEARNED + 102, LEARNED + 162)
        )
        assert daemon.metric('aemon_records_idle_total{monitor="machine"}') == 60 - wanted
        told = run(tmp_path, "explain", "machine", str(LEARNED + 80)).stdout
        assert "idle" in told
        assert "columns.only_when does not hold" in " ".join(told.split())
        status = json.loads(daemon.get("/status.json"))
        assert "machine" in str(status)
