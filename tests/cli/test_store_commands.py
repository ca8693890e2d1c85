"""Results into a file and back, and old ones away, from the command line."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, change, run
from tests.processes import insert


@pytest.fixture
def trained(folder, once):
    """A folder with results: a detector, and scored records of which one is flagged."""

    def build() -> None:
        run(folder, "train")
        insert(folder / "plant.db", "readings", readings.rows(50, first=LEARNED))
        time = (readings.START + timedelta(hours=1)).isoformat()
        insert(folder / "plant.db", "readings", [(5000, time, 9.0, 2.2, 0.8)])
        (scored,) = json.loads(run(folder, "score", "--json").stdout)
        assert scored["records_scored"] == 51

    return once(build)


def ask(folder, query, database="aemon.db"):
    with closing(sqlite3.connect(folder / database)) as connection, connection:
        return connection.execute(query).fetchall()


def move_store(folder, url) -> None:
    change(folder, f"store: sqlite:///{folder}/aemon.db", f"store: {url}")


@pytest.mark.parametrize("to", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_results_move_and_scoring_goes_on_where_it_stopped(trained, request, to):
    counts = json.loads(run(trained, "db", "export", "results.zip", "--json").stdout)
    assert (counts["scores"], counts["detectors"], counts["watermarks"]) == (51, 1, 1)
    flagged = json.loads(run(trained, "anomalies", "--json").stdout)
    # Given another database, which is not there or empty, and records that came meanwhile
    url = (
        f"sqlite:///{trained}/new.db" if to == "sqlite" else request.getfixturevalue("postgres_url")
    )
    move_store(trained, url)
    time = readings.START + timedelta(hours=2)
    insert(trained / "plant.db", "readings", [(6000, time.isoformat(), 5.0, 3.0, 1.5)])
    # When the file is imported
    told = run(trained, "db", "import", "results.zip").stdout
    heading, *lines = [line.split() for line in told.splitlines()]
    assert heading == ["table", "rows"]
    assert ["scores", "51"] in lines
    # Then all is as it was, and the next run reads but the new record
    assert json.loads(run(trained, "anomalies", "--json").stdout) == flagged
    (scored,) = json.loads(run(trained, "score", "--json").stdout)
    assert (scored["records_read"], scored["records_scored"]) == (1, 1)
    (made,) = json.loads(run(trained, "train", "--json").stdout)
    assert made["version"] == 2
    assert "as expected" in run(trained, "db", "check").stdout
    error = run(trained, "db", "import", "results.zip", code=ExitCode.STORE).stderr
    assert "has rows in table" in error
    assert "import into an empty database" in error


def test_an_import_follows_a_command_that_made_the_tables(trained):
    run(trained, "db", "export", "results.zip")
    move_store(trained, f"sqlite:///{trained}/new.db")
    run(trained, "db", "upgrade")
    counts = json.loads(run(trained, "db", "import", "results.zip", "--json").stdout)
    assert counts["scores"] == 51


def test_a_file_that_is_none_makes_no_database(trained):
    (trained / "results.zip").write_text("no zip")
    move_store(trained, f"sqlite:///{trained}/new.db")
    error = run(trained, "db", "import", "results.zip", code=ExitCode.STORE).stderr
    assert "results.zip cannot be read" in error
    assert "nothing.zip cannot be read" in run(
        trained, "db", "import", "nothing.zip", code=ExitCode.STORE
    ).stderr  # fmt: skip
    assert not (trained / "new.db").exists()


def test_a_file_is_replaced_only_if_asked(trained):
    run(trained, "db", "export", "results.zip")
    error = run(trained, "db", "export", "results.zip", code=ExitCode.STORE).stderr
    assert "results.zip exists already" in error
    assert "--force" in error
    run(trained, "db", "export", "results.zip", "--force")


def test_nothing_to_export_is_said_so(folder):
    assert "no results yet" in run(
        folder, "db", "export", "results.zip", code=ExitCode.NO_DETECTOR
    ).stderr  # fmt: skip
    assert not (folder / "results.zip").exists()


def test_old_results_are_removed_by_hand(trained):
    run(trained, "score")
    nothing = {
        "scores": 0,
        "anomalies": 0,
        "episodes": 0,
        "trials": 0,
        "drifts": 0,
        "runs": 0,
        "artifacts": 0,
    }
    assert json.loads(run(trained, "db", "prune", "--json").stdout) == nothing
    ask(trained, "UPDATE scores SET scored_at = '2026-01-02 00:00:00.000000'")
    ask(trained, "UPDATE runs SET started_at = '2026-01-02 00:00:00.000000'")
    path = trained / "aemon.yaml"
    path.write_text("retention: {scores: 1d, anomalies: 1d, runs: 1d}\n" + path.read_text())
    due = nothing | {"scores": 50, "anomalies": 1, "runs": 2}
    assert json.loads(run(trained, "db", "prune", "--dry-run", "--json").stdout) == due
    assert ask(trained, "SELECT count(*) FROM scores") == [(51,)]
    told = run(trained, "db", "prune").stdout
    heading, *lines = [line.split() for line in told.splitlines()]
    assert heading == ["table", "rows"]
    assert lines == [[table, str(rows)] for table, rows in due.items()]
    for table in ("scores", "anomalies", "contributions"):
        assert ask(trained, f"SELECT count(*) FROM {table}") == [(0,)]
    assert "as expected" in run(trained, "db", "check").stdout
