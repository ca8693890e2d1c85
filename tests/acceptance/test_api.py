"""A program asks a real daemon by its API, over HTTP."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.processes import Daemon, insert, sql_source
from tests.readings import LEARNED
from tests.web_security import TOKEN, sha256

pytestmark = pytest.mark.acceptance

WEB = f"""
bearer_tokens: {{operator: '{sha256(TOKEN)}'}}
permissions: {{operator: [read, feedback]}}
"""


@pytest.fixture
def daemon(tmp_path, database):
    monitors = f"""
  pumps:
    source: {sql_source(database)}
    score_every: 1s
    min_records: {LEARNED}
    detector: {{steps: 200, members: 1}}
"""
    (tmp_path / "web.yml").write_text(WEB)
    with Daemon(tmp_path, monitors, http="web_config: web.yml") as daemon:
        yield daemon


def ask(daemon, method, path, body=None):
    """The JSON of an answer, to the operator."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_a_program_follows_a_monitor_from_its_start_to_feedback(daemon, database):
    daemon.wait(
        lambda: ask(daemon, "GET", "/monitors/pumps")["detector_version"] == 1, "a detector"
    )
    assert ask(daemon, "GET", "/openapi.json")["openapi"].startswith("3.1")
    listed = ask(daemon, "GET", "/monitors")
    assert [one["name"] for one in listed["items"]] == ["pumps"]
    assert listed["items"][0]["held"]
    assert ask(daemon, "GET", "/episodes") == {"items": [], "next_cursor": None}
    # When a fault is flagged, and the operator says that it was a false alarm
    insert(database, "readings", [(5000, "2026-01-01T01:00:00+00:00", 9.0, 2.2, 0.8)])
    daemon.wait(lambda: ask(daemon, "GET", "/flagged")["items"] != [], "a flagged record")
    said = {"monitor": "pumps", "record": "5000", "verdict": "false_alarm"}
    assert ask(daemon, "POST", "/feedback", said)["entries"][0]["author"] == "operator"
    # Then the row and the audit name who said it
    assert daemon.query("SELECT record_key, author FROM feedback") == [("5000", "operator")]
    assert daemon.query("SELECT who, action FROM audit") == [("operator", "feedback")]
    # Training runs elsewhere: the daemon holds no torch, with the API or without
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "torch" not in maps
    daemon.stop()
