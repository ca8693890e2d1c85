"""The command line: what it prints, and what it returns."""

import json
import re
import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest
import yaml
from typer.testing import CliRunner

from aemon import __version__
from aemon.cli.main import app
from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, add_monitor, change, run, sql
from tests.processes import insert

COMMANDS = (
    "init", "run", "check", "train", "score", "status", "doctor", "anomalies", "explain", "rejected", "report", "mcp",
    "codes", "docs",
    "kinds", "sources", "tune", "demo", "feedback", "episodes list", "episodes show", "episodes ack",
    "episodes close", "episodes label", "snooze add", "snooze list", "snooze end",
    "detectors list", "detectors show", "detectors compare", "detectors promote",
    "detectors rollback", "detectors rebuild",
    "web password", "web token", "rules", "notify list", "notify retry", "notify test",
    "config schema", "db upgrade", "db current", "db check", "db export", "db import", "db prune",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    first = [line for line in done.output.splitlines() if line.strip()][1]
    assert len(first.split()) > 3
    assert all(len(line) <= 80 for line in done.output.splitlines())


def test_the_list_of_commands_is_whole():
    import typer.main

    group = typer.main.get_command(app)
    names = []
    for name, command in group.commands.items():
        names += [f"{name} {below}" for below in getattr(command, "commands", {})] or [name]
    assert sorted(names) == sorted(COMMANDS)


def test_help_loads_nothing_heavy():
    code = (
        "import sys, typer.testing; from aemon.cli.main import app;"
        "typer.testing.CliRunner().invoke(app, ['--help']);"
        "print([m for m in ('torch', 'pandas', 'numpy', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_printed(tmp_path):
    assert run(tmp_path, "--version").stdout.strip() == f"aemon {__version__}"


def test_init_writes_a_configuration_that_loads_and_never_overwrites(tmp_path):
    run(tmp_path, "init")
    text = (tmp_path / "aemon.yaml").read_text()
    assert "monitors" in yaml.safe_load(text)
    assert "--force" in run(tmp_path, "init", code=ExitCode.CONFIG).stderr
    (tmp_path / "aemon.yaml").write_text("mine")
    run(tmp_path, "init", "--force")
    assert (tmp_path / "aemon.yaml").read_text() == text


def test_a_typo_is_named_with_line_and_suggestion(folder):
    path = folder / "aemon.yaml"
    path.write_text(path.read_text().replace("min_records", "min_recods"))
    error = run(folder, "check", code=ExitCode.CONFIG).stderr
    line = path.read_text().splitlines().index(f"    min_recods: {LEARNED}") + 1
    assert f"aemon.yaml:{line}" in error
    assert "min_records" in error


def test_a_missing_configuration_is_said_so(tmp_path):
    assert "aemon.yaml" in run(tmp_path, "run", code=ExitCode.CONFIG).stderr


def test_the_jobs_by_hand(folder):
    """Train, score, list, explain: the whole way without a daemon."""
    waits = run(folder, "score", "--json", code=ExitCode.NO_DETECTOR)
    assert json.loads(waits.stdout)[0]["outcome"] == "collecting"
    (made,) = json.loads(run(folder, "train", "--json").stdout)
    assert (made["monitor"], made["version"], made["records"]) == ("pumps", 1, LEARNED)
    assert run(folder, "anomalies").stdout.strip() == "no record was flagged"

    time = (readings.START + timedelta(hours=1)).isoformat()
    insert(folder / "plant.db", "readings", [(5000, time, 9.0, 2.2, 0.8)])
    (scored,) = json.loads(run(folder, "score", "--json").stdout)
    assert (scored["records_scored"], scored["anomalies"]) == (1, 1)

    (flagged,) = json.loads(run(folder, "anomalies", "--json").stdout)
    assert flagged["record_key"] == "5000"
    assert flagged["event_time"] == "2026-01-01T01:00:00+00:00"
    assert re.search(r"5000", run(folder, "anomalies").stdout)
    assert json.loads(run(folder, "anomalies", "--since", "1h", "--json").stdout) == []

    explained = json.loads(run(folder, "explain", "pumps", "5000", "--json").stdout)
    assert explained["observed"]["flow"] == 9.0
    assert sum(part["share"] for part in explained["columns"]) == pytest.approx(1)
    text = run(folder, "explain", "pumps", "5000").stdout
    assert "was expected" in text
    assert "judged no record '1'" in run(folder, "explain", "pumps", "1", code=ExitCode.DATA).stderr
    assert "pumps" in run(folder, "explain", "pmps", "1", code=ExitCode.CONFIG).stderr


def test_a_first_training_that_failed_is_told_until_one_succeeds(folder):
    """And nobody is sent to train once more."""
    waits = run(folder, "score", "--json", code=ExitCode.NO_DETECTOR)
    (found,) = json.loads(waits.stdout)
    assert found["reason"] == f"{LEARNED} records are there: run `aemon train`"
    change(folder, "    min_records", "    columns: {include: [id]}\n    min_records")
    (failed,) = json.loads(run(folder, "train", "--json", code=ExitCode.DATA).stdout)
    (found,) = json.loads(run(folder, "score", "--json", code=ExitCode.NO_DETECTOR).stdout)
    told = f"{LEARNED} records are there, and the last training failed: {failed['error']}"
    assert found["reason"].startswith(told)
    change(folder, "    columns: {include: [id]}\n", "")
    run(folder, "train")
    assert json.loads(run(folder, "score", "--json").stdout)[0]["outcome"] == "no_data"


def test_a_wrong_duration_is_a_usage_error(folder):
    assert "15x" in run(folder, "anomalies", "--since", "15x", code=ExitCode.USAGE).stderr


def test_training_too_early_says_how_many_are_missing(folder):
    path = folder / "aemon.yaml"
    path.write_text(path.read_text().replace(f"min_records: {LEARNED}", "min_records: 500"))
    assert "200 of 500" in run(folder, "train", code=ExitCode.DATA).stderr


def test_the_schema_is_json_schema(tmp_path):
    schema = json.loads(run(tmp_path, "config", "schema").stdout)
    assert "monitors" in schema["properties"]


def test_the_database_commands(folder):
    assert json.loads(run(folder, "db", "current", "--json").stdout) == {
        "current": None,
        "needed": "0013",
    }
    assert "run `aemon db upgrade`" in run(folder, "db", "check", code=ExitCode.STORE).stderr
    assert not (folder / "aemon.db").exists(), "asking makes nothing"
    assert "none -> 0013" in run(folder, "db", "upgrade").stdout
    assert "current 0013, needed 0013" in run(folder, "db", "current").stdout
    assert "as expected" in run(folder, "db", "check").stdout
    execute(folder / "aemon.db", "DROP VIEW coverage", "DROP TABLE history")
    told = run(folder, "db", "check", code=ExitCode.STORE).stdout
    assert told.splitlines() == ["table history is missing", "view coverage is missing"]


def test_a_store_of_another_version_is_told_the_same_everywhere(folder):
    run(folder, "db", "upgrade")
    execute(folder / "aemon.db", "UPDATE alembic_version SET version_num = '9999'")
    for command in ("db check", "db upgrade", "anomalies", "train"):
        error = run(folder, *command.split(), code=ExitCode.STORE).stderr
        assert "has schema 9999, this aemon needs 0013" in error
        assert "install a newer aemon" in error
    assert "has schema 9999" in run(folder, "check", code=ExitCode.STORE).stdout


def test_a_database_with_another_programs_tables_is_said_so(folder):
    execute(folder / "aemon.db", "CREATE TABLE scores (a INTEGER)")
    for command in ("db upgrade", "run"):
        error = run(folder, *command.split(), code=ExitCode.STORE).stderr
        assert "table scores already exists" in error
        assert "choose another database" in error
        assert "tries again" not in error


def test_training_goes_on_after_a_monitor_that_fails(folder):
    config = (folder / "aemon.yaml").read_text()
    head, pumps = config.split("  pumps:\n")
    (folder / "aemon.yaml").write_text(head)
    add_monitor(folder, "broken", sql(folder, "reedings"))
    with (folder / "aemon.yaml").open("a") as file:
        file.write(f"  pumps:\n{pumps}")
    done = run(folder, "train", "--json", code=ExitCode.SOURCE)
    made, failed = json.loads(done.stdout)
    assert (made["monitor"], made["version"]) == ("pumps", 1)
    assert failed["monitor"] == "broken"
    assert done.stderr.startswith("broken: ")
    assert "(" in done.stderr, "what to do is part of it"
    done = run(folder, "train", "broken", code=ExitCode.SOURCE)
    assert done.stdout == ""
    assert done.stderr.count("reedings") == 1


def test_scoring_by_hand_says_what_to_do_before_the_first_training(folder):
    done = run(folder, "score", code=ExitCode.NO_DETECTOR)
    assert "collecting" in done.stdout
    assert f"{LEARNED} records are there: run `aemon train`" in done.stdout


def test_a_failed_run_is_told_once(folder):
    run(folder, "train")
    (folder / "plant.db").rename(folder / "plants.db")
    done = run(folder, "score", code=ExitCode.FAILED)
    assert "no such file" in done.stdout
    assert done.stderr == ""


def test_an_error_without_advice_prints_no_empty_line(tmp_path):
    (tmp_path / "aemon.yaml").write_text("- a\n")
    error = run(tmp_path, "check", code=ExitCode.CONFIG).stderr
    assert error == "aemon: aemon.yaml:1: expected `key: value` lines, such as `monitors:`\n"


def test_a_url_that_cannot_be_read_is_told_with_its_line_and_without_itself(folder):
    change(folder, f"store: sqlite:///{folder}/aemon.db", "store: postgresql://u:hunter2@h:bad/d")
    for command in ("check", "run", "anomalies", "db current"):
        error = run(folder, *command.split(), code=ExitCode.CONFIG).stderr
        assert "aemon.yaml:1: store: is not a database URL" in error
        assert "hunter2" not in error


def execute(path, *statements):
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_taken_port_is_said_so(folder):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = folder / "aemon.yaml"
        path.write_text(path.read_text() + f"http: {{listen: '127.0.0.1:{port}'}}\n")
        error = run(folder, "run", code=ExitCode.CONFIG).stderr
    assert str(port) in error
    assert "http.listen" in error
