"""`aemon doctor`: an installation is broken in several ways, and it says which, and what to do."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from aemon.errors import ExitCode
from tests.cli.commands import LEARNED, add_monitor, change, run, sql
from tests.processes import Daemon, insert, sql_source


def findings(folder, code: int = ExitCode.OK) -> list[dict[str, str]]:
    return json.loads(run(folder, "doctor", "--json", code=code).stdout)


def about(found, check: str, level: str | None = None) -> list[tuple[str, str]]:
    """(what, todo) of a check's findings."""
    return [
        (one["what"], one["todo"])
        for one in found
        if one["check"] == check and level in (None, one["level"])
    ]


def statement(folder, text: str, *values) -> None:
    with closing(sqlite3.connect(folder / "aemon.db")) as connection, connection:
        connection.execute(text, values)


@pytest.fixture
def trained(folder):
    """An installation that works, but for its daemon, which is not running."""
    change(folder, "monitors:\n", "http: {listen: 127.0.0.1:1}\nmonitors:\n")
    now = datetime.now(UTC)
    insert(folder / "plant.db", "readings", [(9000, now.isoformat(), 4.0, 2.2, 0.8)])
    run(folder, "train")
    return folder


def test_a_wrong_configuration_is_found_before_all_else(folder):
    change(folder, "min_records", "min_recods")
    (found,) = findings(folder, ExitCode.FAILED)
    assert (found["check"], found["level"]) == ("configuration", "error")
    assert "min_recods" in found["what"]
    assert found["todo"]
    change(folder, "source:", "sorce:")
    found = [what for what, _ in about(findings(folder, ExitCode.FAILED), "configuration", "error")]
    assert len(found) == 3, "a mistake each: one is missing, two are unknown"
    assert all(what.startswith("aemon.yaml:") for what in found)


def test_what_works_is_said_to_work(trained):
    found = findings(trained)
    levels = {one["check"]: one["level"] for one in found}
    for check in ("configuration", "secrets", "drivers", "time zones", "training", "store",
                  "schema", "writing", "clocks", "detector", "source", "runs"):  # fmt: skip
        assert levels[check] == "ok", [one for one in found if one["check"] == check]
    assert about(found, "daemon", "warning")[0][0].startswith("the daemon does not answer at")
    assert about(found, "leases", "warning") == [
        ("no replica watches pumps", "start the daemon: aemon run")
    ]
    text = run(trained, "doctor").stdout
    assert "warning daemon: the daemon does not answer at 127.0.0.1:1" in text
    assert re.search(r"^        start the daemon: aemon run", text, re.MULTILINE)


def test_a_broken_source_and_one_that_has_fallen_silent(trained):
    add_monitor(trained, "fans", sql(trained, "radings"))
    with closing(sqlite3.connect(trained / "plant.db")) as connection, connection:
        connection.execute("DELETE FROM readings WHERE id = 9000")
    found = findings(trained, ExitCode.FAILED)
    ((what, todo),) = about(found, "source", "error")
    assert "fans" in what
    assert "radings" in what
    assert todo
    ((what, todo),) = about(found, "source", "warning")
    assert re.match(r"pumps: the newest record is \d+d.* old, and stale_after is 15m", what)
    assert "check whether records still arrive" in todo
    change(trained, "min_records", "stale_after: never\n    min_records")
    assert about(findings(trained, ExitCode.FAILED), "source", "warning") == []
    assert about(found, "detector", "warning")[0] == (
        "fans has never run",
        "start the daemon: aemon run",
    )


def test_a_detector_that_cannot_be_read(trained):
    statement(trained, "UPDATE artifacts SET content = ?", b"rubbish")
    found = findings(trained, ExitCode.FAILED)
    ((what, todo),) = about(found, "detector", "error")
    assert what.startswith("pumps: detector 1:")
    assert todo == "aemon train pumps"


def test_runs_that_ended_badly_and_runs_that_were_lost(trained):
    now = datetime.now(UTC) - timedelta(hours=3)
    time = f"{now:%Y-%m-%d %H:%M:%S}.000000"
    run(trained, "score")
    for outcome, reason in (("failed", "no such table: x"), ("running", "")):
        with closing(sqlite3.connect(trained / "aemon.db")) as connection, connection:
            connection.row_factory = sqlite3.Row
            row = dict(connection.execute("SELECT * FROM runs WHERE job = 'score'").fetchone())
            del row["id"]
            row |= {"outcome": outcome, "reason": reason, "started_at": time, "finished_at": time}
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO runs ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
            )
    told = about(findings(trained), "runs", "warning")
    reason = "reason of the last run: no such table: x"
    assert ("pumps: 1 score runs failed in the last day", reason) in told
    assert any("1 runs were lost" in what for what, _ in told)


def test_a_store_that_is_none(trained):
    (trained / "aemon.db-wal").unlink(missing_ok=True)
    (trained / "aemon.db-shm").unlink(missing_ok=True)
    (trained / "aemon.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    found = findings(trained, ExitCode.FAILED)
    ((what, todo),) = about(found, "store", "error")
    assert "not a database" in what
    assert todo


def test_a_password_that_others_can_read(trained):
    change(trained, f"sqlite:///{trained}/aemon.db", "postgresql://me:open-secret@127.0.0.1:1/x")
    (trained / "aemon.yaml").chmod(0o644)
    found = findings(trained, ExitCode.FAILED)
    ((what, todo),) = about(found, "secrets", "warning")
    assert "other users of this host can read the file" in what
    assert todo.startswith("chmod 600")
    assert about(found, "store", "error")
    assert "open-secret" not in json.dumps(found)
    (trained / "aemon.yaml").chmod(0o600)
    assert about(findings(trained, ExitCode.FAILED), "secrets", "ok")


def test_a_replica_that_fell_silent_and_a_daemon_that_answers(tmp_path, folder):
    (tmp_path / "live").mkdir()
    monitors = f"""
  pumps:
    source: {sql_source(folder / "plant.db")}
    score_every: 1s
    min_records: {LEARNED + 1000}
"""
    with Daemon(tmp_path / "live", monitors, settings="replicas: {lease: 2s}") as daemon:
        store = sqlite3.connect(tmp_path / "live" / "aemon.db", timeout=10)
        with closing(store) as connection, connection:
            connection.execute(
                "INSERT INTO replicas SELECT 'old', address, version, started_at,"
                " '2020-01-01 00:00:00.000000' FROM replicas"
            )
        told = run(tmp_path / "live", "doctor", "--json").stdout
        found = json.loads(told)
        assert about(found, "daemon", "ok")[0][0].startswith(f"127.0.0.1:{daemon.port}: ok")
        assert about(found, "leases", "ok") == [("all monitors are watched, by 1 replica", "")]
        ((what, todo),) = about(found, "replicas", "warning")
        assert what.startswith("old has sent no heartbeat for")
        assert "look at its log" in todo
        ((what, _),) = about(found, "detector", "warning")
        assert "collecting" in what
