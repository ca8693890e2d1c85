"""`aemon anomalies` and `aemon explain`: readable at 80 columns, and never a guess."""

import json
import sqlite3
from datetime import timedelta

import pytest

from aemon.errors import ExitCode
from aemon.records import Quiet
from tests import readings
from tests.cli.commands import LEARNED, WIDTH, change, run, sql
from tests.processes import insert

FAULT = (readings.START + timedelta(hours=1)).isoformat()


def insert_pumps(folder, rows):
    connection = sqlite3.connect(folder / "plant.db")
    with connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pumps (id, ts, flow, pressure, current, pump)"
        )
        connection.executemany("INSERT INTO pumps VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()


@pytest.fixture
def judged(folder, once):
    """Two pumps in one table: record 300 of P-1 is flagged, that of P-2 is not, 301 is absent."""

    def build() -> None:
        learned = [(*row, f"P-{row[0] % 2 + 1}") for row in readings.rows(LEARNED)]
        insert_pumps(folder, learned)
        change(folder, sql(folder, "readings"), sql(folder, "pumps", ", entity: pump"))
        run(folder, "train")
        normal = learned[-1][2:5]
        insert_pumps(
            folder,
            [
                (300, FAULT, 9.0, 2.2, 0.8, "P-1"),
                (300, FAULT, *normal, "P-2"),
                (301, FAULT, None, None, None, "P-2"),
            ],
        )
        run(folder, "score")

    return once(build)


@pytest.mark.parametrize("command", ["anomalies", "anomalies pumps", "explain pumps 1"])
def test_reading_makes_no_store(folder, command):
    done = run(folder, *command.split(), code=ExitCode.NO_DETECTOR)
    assert "there are no results yet in sqlite:///" in done.stderr
    assert "run `aemon run`" in done.stderr
    assert not (folder / "aemon.db").exists()


def test_a_database_without_schema_has_no_results(folder):
    change(folder, f"sqlite:///{folder}/aemon.db", f"sqlite:///{folder}/plant.db")
    assert "no results yet" in run(folder, "anomalies", code=ExitCode.NO_DETECTOR).stderr


def test_a_flagged_record_is_a_row_and_a_sentence(judged):
    text = run(judged, "anomalies").stdout
    headings, row, *sentence = text.splitlines()
    assert headings.split("  ")[0] == "time (UTC)"
    assert headings.split()[2:] == ["monitor", "entity", "record", "severity", "over", "p-value"]
    assert row.split()[:5] == ["2026-01-01", "01:00:00", "pumps", "P-1", "300"]
    assert " was " in " ".join(sentence)
    assert all(line.startswith("  ") for line in sentence)
    assert max(map(len, text.splitlines())) <= WIDTH


def test_columns_that_say_nothing_are_left_out(judged):
    assert "monitor" not in run(judged, "anomalies", "pumps").stdout
    change(judged, ", entity: pump", "")
    assert "entity" in run(judged, "anomalies", "pumps").stdout, "the stored records have one"


def test_a_source_without_entities_has_no_column_for_them(folder):
    run(folder, "train")
    insert(folder / "plant.db", "readings", [(5000, FAULT, 9.0, 2.2, 0.8)])
    run(folder, "score")
    assert "entity" not in run(folder, "anomalies").stdout


def test_a_key_that_two_entities_share_is_asked_about(judged):
    error = run(judged, "explain", "pumps", "300", code=ExitCode.USAGE).stderr
    assert "2 entities: 'P-1', 'P-2'" in error
    assert "--entity" in error
    text = run(judged, "explain", "pumps", "300", "--entity", "P-1").stdout
    assert "record 300 of P-1, 2026-01-01 01:00:00 UTC: " in text
    assert "expected" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_record_that_was_not_flagged_is_told_with_its_p_value(judged):
    text = run(judged, "explain", "pumps", "300", "--entity", "P-2").stdout
    assert "UTC: normal" in text
    assert "p-value" in text
    record = json.loads(run(judged, "explain", "pumps", "300", "--entity", "P-2", "--json").stdout)
    assert record["verdict"] == "normal"
    assert 0 < record["p_value"] <= 1


def test_an_absent_record_is_told_so(judged):
    text = run(judged, "explain", "pumps", "301").stdout
    assert "UTC: absent" in text
    assert "100% of its judged cells were missing" in text


def test_a_record_never_judged_is_told_so(judged):
    for arguments in (["7"], ["999"], ["300", "--entity", "P-3"]):
        error = run(judged, "explain", "pumps", *arguments, code=ExitCode.DATA).stderr
        assert f"pumps has judged no record '{arguments[0]}'" in error


def test_a_time_as_key_may_be_given_as_it_is_shown(folder):
    connection = sqlite3.connect(folder / "plant.db")
    with connection:
        connection.execute("CREATE TABLE timed (key, ts, flow, pressure, current)")
        rows = [(row[1], *row[1:]) for row in readings.rows(LEARNED)]
        connection.executemany("INSERT INTO timed VALUES (?, ?, ?, ?, ?)", rows)
    change(folder, sql(folder, "readings"), sql(folder, "timed").replace("key: id", "key: key"))
    run(folder, "train")
    key = "2026-01-01T01:00:00.123456+00:00"
    with connection:
        connection.execute("INSERT INTO timed VALUES (?, ?, 9.0, 2.2, 0.8)", (key, key))
    connection.close()
    run(folder, "score")
    text = run(folder, "anomalies").stdout
    assert ".123456" not in text
    assert "2026-01-01T01:00:00" in text
    assert f"record {key}" in run(folder, "explain", "pumps", "2026-01-01T01:00:00").stdout
    assert f"record {key}" in run(folder, "explain", "pumps", key).stdout
    error = run(folder, "explain", "pumps", "2026-01-01T01:00:01", code=ExitCode.DATA).stderr
    assert "judged no record" in error


@pytest.mark.parametrize("reason", Quiet)
def test_a_suppressed_record_is_explained_whatever_suppressed_it(judged, reason):
    connection = sqlite3.connect(judged / "aemon.db")
    with connection:
        connection.execute("UPDATE scores SET verdict = 'suppressed' WHERE verdict = 'anomaly'")
        connection.execute("UPDATE anomalies SET quiet = ?", (reason.value,))
    connection.close()
    text = " ".join(run(judged, "explain", "pumps", "300", "--entity", "P-1").stdout.split())
    assert f"suppressed: {reason.words}" in text
