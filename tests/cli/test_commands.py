"""The command line: what it prints, and what it returns."""

import json
import re
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
from tests.processes import aemon, insert, make_table

LEARNED = 200
COMMANDS = (
    "init", "run", "check", "train", "score", "anomalies", "explain", "demo",
    "config schema", "db upgrade", "db current", "db check",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A folder with a table and a configuration."""
    make_table(tmp_path / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(tmp_path / "plant.db", "readings", readings.rows(LEARNED))
    (tmp_path / "aemon.yaml").write_text(
        f"""
store: sqlite:///{tmp_path}/aemon.db
monitors:
  pumps:
    source: {{kind: sql, url: 'sqlite:///{tmp_path}/plant.db', table: readings, time: ts, key: id}}
    score_every: 1s
    min_records: {LEARNED}
    detector: {{steps: 60, members: 1}}
"""
    )
    return tmp_path


def run(folder, *arguments, code=ExitCode.OK):
    done = aemon(*arguments, cwd=folder, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    first = [line for line in done.output.splitlines() if line.strip()][1]
    assert len(first.split()) > 3


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


def test_check_shows_columns_and_first_records(folder):
    text = run(folder, "check").stdout
    assert "flow" in text
    assert "numeric" in text
    report = json.loads(run(folder, "check", "--json").stdout)
    (pumps,) = report["monitors"]
    assert [column["column"] for column in pumps["columns"]] == ["flow", "pressure", "current"]
    assert pumps["records_seen"] == LEARNED
    assert pumps["first_rows"][0]["key"] == "0"
    assert not (folder / "aemon.db").exists(), "checking makes nothing"


def test_check_names_what_is_wrong_and_goes_on(folder):
    config = (folder / "aemon.yaml").read_text()
    wrong = config + config[config.index("  pumps:") :].replace("pumps", "fans").replace(
        "table: readings", "table: reedings"
    )
    (folder / "aemon.yaml").write_text(wrong)
    done = run(folder, "check", code=ExitCode.SOURCE)
    assert "reedings" in done.stdout
    assert "readings" in done.stdout
    assert "flow" in done.stdout


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
    assert "no record '1'" in run(folder, "explain", "pumps", "1", code=ExitCode.DATA).stderr
    assert "pumps" in run(folder, "explain", "pmps", "1", code=ExitCode.CONFIG).stderr


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
        "needed": "0001",
    }
    assert "none -> 0001" in run(folder, "db", "upgrade").stdout
    assert "current 0001, needed 0001" in run(folder, "db", "current").stdout
    assert "as expected" in run(folder, "db", "check").stdout
    import sqlite3

    connection = sqlite3.connect(folder / "aemon.db")
    with connection:
        connection.execute("DROP VIEW flagged_records")
        connection.execute("DROP TABLE contributions")
    connection.close()
    assert "contributions" in run(folder, "db", "check", code=ExitCode.STORE).stdout


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
