"""A program asks a real daemon by its API, over HTTP."""

import json
from pathlib import Path

import pytest

from tests.processes import Daemon, sql_source
from tests.readings import LEARNED

pytestmark = pytest.mark.acceptance


@pytest.fixture
def daemon(tmp_path, database):
    monitors = f"""
  pumps:
    source: {sql_source(database)}
    score_every: 1s
    min_records: {LEARNED}
    detector: {{steps: 200, members: 1}}
"""
    with Daemon(tmp_path, monitors) as daemon:
        yield daemon


def test_a_program_follows_a_monitor_from_its_start_to_its_detector(daemon):
    def version():
        return json.loads(daemon.get("/api/v1/monitors/pumps"))["detector_version"]

    daemon.wait(lambda: version() == 1, "the first detector")
    document = json.loads(daemon.get("/api/v1/openapi.json"))
    assert document["openapi"].startswith("3.1")
    listed = json.loads(daemon.get("/api/v1/monitors"))
    assert [one["name"] for one in listed["items"]] == ["pumps"]
    assert listed["items"][0]["held"]
    assert json.loads(daemon.get("/api/v1/episodes")) == {"items": [], "next_cursor": None}
    # Training runs elsewhere: the daemon holds no torch, with the API or without
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "torch" not in maps
    daemon.stop()
