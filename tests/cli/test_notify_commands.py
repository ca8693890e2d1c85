"""`aemon notify`: receivers tried, and what became of messages listed and tried again."""

import json

import pytest
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.errors import ExitCode
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.tables import episodes, notifications
from aemon.store.store import Store
from aemon.testing.http_receiver import receiving
from tests.cli.commands import run


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def configure(folder, *lines: str) -> None:
    path = folder / "aemon.yaml"
    path.write_text("notify:\n" + "".join(f"  {line}\n" for line in lines) + path.read_text())


def test_receivers_are_tried_and_what_they_answer_is_told(folder, receiver):
    configure(folder, f"ops: {{kind: slack, url: '{receiver.url}'}}",
              f"all: {{kind: webhook, url: '{receiver.url}'}}")  # fmt: skip
    receiver.answers = [(403, {}, b"no_service")]
    told = run(folder, "notify", "test", code=ExitCode.FAILED).stdout
    assert told == "ops: HTTP 403: no_service\nall: accepted (HTTP 200)\n"
    slack, plain = (heard.body for heard in receiver.heard)
    assert slack["text"] == "test from aemon, with a made-up episode of pumps, p4"
    assert (plain["event"], plain["page"]) == ("test", "http://127.0.0.1:9464")
    answers = json.loads(run(folder, "notify", "test", "ops", "--json").stdout)
    assert answers == [{"receiver": "ops", "status": 200, "error": ""}]
    assert "there is no receiver 'opps'" in run(
        folder, "notify", "test", "opps", code=ExitCode.CONFIG
    ).stderr  # fmt: skip
    assert not (folder / "aemon.db").exists(), "nothing is stored"
    assert "valid; notifies ops, all" in run(folder, "check").stdout


def test_without_receivers_it_says_so(folder):
    assert "there are no receivers" in run(folder, "notify", "test", code=ExitCode.CONFIG).stderr
    run(folder, "notify", "retry", code=ExitCode.USAGE)


def test_dead_letters_are_listed_and_tried_again(folder):
    configure(folder, "ops: {kind: webhook, url: 'http://127.0.0.1:9/s3cret'}")
    engine = open_engine(f"sqlite:///{folder}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["pumps"])
    now = utc_now()
    with store.writing() as connection:
        episode = {
            "id": 41, "monitor": "pumps", "entity": "p1", "state": "closed", "severity": "warning",
            "started_at": now, "ended_at": now, "records": 3, "peak_exceedance": 2.0,
            "peak_record_key": "7", "feature": "flow", "blame": {"flow": 1.0}, "calm_records": 0,
            "updated_at": now, "opened_at": now,
        }  # fmt: skip
        row = {"monitor": "pumps", "episode_id": 41, "receiver": "ops", "severity": "warning",
               "created_at": now, "due_at": now}  # fmt: skip
        dead = {"id": 7, "event": "opened", "state": "dead", "attempts": 3, "status": 404,
                "last_error": "HTTP 404: no such hook"}  # fmt: skip
        other = {"id": 8, "event": "resolved", "state": "expected"}
        connection.execute(sa.insert(episodes).values(episode))
        for more in (dead, other):
            connection.execute(sa.insert(notifications).values({**row, **more}))
    (listed,) = json.loads(run(folder, "notify", "list", "--dead", "--json").stdout)
    assert (listed["id"], listed["status"], listed["episode_id"]) == (7, 404, 41)
    shown = run(folder, "notify", "list").stdout
    assert "HTTP 404: no such hook" in shown
    assert "expected" not in shown
    assert "there is no notification 8 that is dead or waits" in run(
        folder, "notify", "retry", "8", code=ExitCode.DATA
    ).stderr  # fmt: skip
    assert run(folder, "notify", "retry", "--all").stdout == "notifications to be sent again: 1\n"
    store.close()
