"""Everything that is wrong at once: each is named in the ledger, and the good monitor lives on."""

import csv
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tests import readings
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 200
GOOD = ["ts TEXT", *readings.COLUMNS]


def monitor(name: str, source: str, more: str = "") -> str:
    return (
        f"  {name}:\n    source: {source}\n    score_every: 300ms\n"
        f"    min_records: {LEARNED}\n    detector: {{steps: 60, members: 1}}\n{more}"
    )


@pytest.fixture
def plant(tmp_path):
    """A database with one good table and many bad ones."""
    database = tmp_path / "plant.db"

    def table(name, columns, rows):
        make_table(database, name, columns)
        rows = list(rows)
        if rows:
            insert(database, name, rows)

    good = list(readings.rows(LEARNED))
    table("good", GOOD, good)
    table("nothing", GOOD, [])
    table("all_null", GOOD, [(n, ts, None, None, None) for n, ts, *_ in good])
    table("constant", GOOD, [(n, ts, 1.0, 2.0, 3.0) for n, ts, *_ in good])
    table("words", ["ts TEXT", "note TEXT"], [(n, ts, f"note {n}") for n, ts, *_ in good])
    table("vanishing", GOOD, good)
    table("changing", ["ts TEXT", "flow", "pressure", "current"], good)
    table("infinite", GOOD, good)
    table("naive", GOOD, [(n, ts.replace("+00:00", ""), *v) for n, ts, *v in good])
    table("backwards", GOOD, good)
    table("half_null", GOOD, [(n, ts, a, None if n % 3 else b, c) for n, ts, a, b, c in good])
    (tmp_path / "diary.db").write_text("dear diary, this is no database " * 40)
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "ts", "flow", "pressure", "current"])
        writer.writerows(good)
    return database


def ledger(daemon, name: str, outcome: str = "failed") -> str:
    rows = daemon.query(
        "SELECT reason FROM runs WHERE monitor = ? AND outcome = ? ORDER BY id DESC LIMIT 1",
        name,
        outcome,
    )
    return rows[0][0] if rows else ""


def verdicts(daemon, name: str) -> list[tuple[str, str]]:
    return daemon.query("SELECT record_key, verdict FROM scores WHERE monitor = ?", name)


def test_bad_monitors_say_what_is_wrong_and_the_others_live_on(plant, tmp_path):
    monitors = "".join(
        [
            monitor("good", sql_source(plant, "good")),
            monitor("missing_file", sql_source(tmp_path / "gone.db")),
            monitor("no_database", sql_source(tmp_path / "diary.db")),
            monitor("no_table", sql_source(plant, "goood")),
            monitor("no_column", sql_source(plant, "good").replace("time: ts", "time: tss")),
            monitor("nothing", sql_source(plant, "nothing")),
            monitor("nulls", sql_source(plant, "all_null")),
            monitor("constant", sql_source(plant, "constant")),
            monitor("words", sql_source(plant, "words")),
            monitor("vanishing", sql_source(plant, "vanishing")),
            monitor("changing", sql_source(plant, "changing")),
            monitor("infinite", sql_source(plant, "infinite")),
            monitor("naive", sql_source(plant, "naive", timezone="Europe/Berlin")),
            monitor("backwards", sql_source(plant, "backwards")),
            monitor("half_null", sql_source(plant, "half_null")),
            monitor("typo", sql_source(plant, "good"), "    columns: {exclude: [flwo]}\n"),
            monitor("file", f"{{kind: csv, path: {tmp_path}/log.csv, time: ts}}"),
            monitor("no_csv", f"{{kind: csv, path: {tmp_path}/gone.csv, time: ts}}"),
        ]
    )
    learning = (
        "good",
        "vanishing",
        "changing",
        "infinite",
        "naive",
        "backwards",
        "half_null",
        "file",
    )
    with Daemon(tmp_path, monitors) as daemon:
        trained = "SELECT DISTINCT monitor FROM detectors"
        daemon.wait(
            lambda: {name for (name,) in daemon.query(trained)} >= set(learning), "detectors", 240
        )
        for name, words in {
            "missing_file": ["gone.db", "no such file"],
            "no_database": ["diary.db", "not a database"],
            "no_table": ["goood", "good"],
            "no_column": ["tss", "ts"],
            "no_csv": ["gone.csv"],
            "nulls": ["flow", "missing"],
            "constant": ["constant"],
            "words": ["note"],
            "typo": ["flwo", "flow"],
        }.items():
            daemon.wait(lambda name=name: ledger(daemon, name) != "", f"a reason for {name}")
            reason = ledger(daemon, name)
            assert not [word for word in words if word not in reason], (name, reason)
        assert ledger(daemon, "nothing", "collecting") == f"collecting 0 of {LEARNED} records"

        # Now the good ones turn bad.
        later = (readings.START + timedelta(hours=2)).isoformat()
        connection = sqlite3.connect(plant, timeout=20)
        with connection:
            connection.execute("ALTER TABLE vanishing DROP COLUMN pressure")
        connection.close()
        insert(plant, "vanishing", [(900, later, 6.0, 1.8)])
        insert(plant, "changing", [(900 + n, later, "high", 2.8, "low") for n in range(20)])
        insert(plant, "infinite", [(900, later, float("inf"), 2.8, 1.8)])
        insert(plant, "naive", [(900, later.replace("+00:00", ""), 6.0, 2.8, 1.8)])
        early = (readings.START - timedelta(days=1)).isoformat()
        insert(plant, "backwards", [(900, later, 6.0, 2.8, 1.8), (901, early, 6.0, 2.8, 1.8)])
        with (tmp_path / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                [
                    (900, later, 6.0, 2.8, 1.8),
                    (901, early, 6.0, 2.8, 1.8),  # time goes backwards
                    (902, "no time at all", 6.0, 2.8, 1.8),
                    (903, later, 6.0),  # too short
                ]
            )
        insert(plant, "good", readings.rows(50, first=LEARNED))

        daemon.wait(lambda: len(verdicts(daemon, "good")) == 50, "50 verdicts on good")
        daemon.wait(lambda: "pressure" in ledger(daemon, "vanishing"), "the vanished column")
        assert "train again" in ledger(daemon, "vanishing")
        # Columns that cannot be read any more are missing, and the ledger says so.
        daemon.wait(lambda: "flow" in ledger(daemon, "changing", "ok"), "the changed column")
        assert "high" in ledger(daemon, "changing", "ok")
        assert {verdict for _, verdict in verdicts(daemon, "changing")} == {"absent"}
        for name in ("infinite", "naive"):
            daemon.wait(lambda name=name: len(verdicts(daemon, name)) == 1, f"a verdict on {name}")
        imputed = daemon.query("SELECT imputed_share FROM scores WHERE monitor = 'infinite'")
        assert imputed[0][0] == pytest.approx(1 / 3)
        utc = daemon.query("SELECT event_time FROM scores WHERE monitor = 'naive'")[0][0]
        written = datetime.fromisoformat(later) - timedelta(hours=1)  # Berlin in winter
        assert datetime.fromisoformat(utc).replace(tzinfo=UTC) == written

        # In a file, a record out of its time is judged and counted as late; bad lines are counted.
        daemon.wait(lambda: len(verdicts(daemon, "file")) == 2, "two verdicts on the file")
        assert daemon.metric('aemon_records_late_total{monitor="file"}') == 1
        rejected = daemon.metric('aemon_records_rejected_total{monitor="file",reason="no_time"}')
        assert rejected == 2
        # In a table too, as long as its key tells that it is new.
        daemon.wait(lambda: len(verdicts(daemon, "backwards")) == 2, "two verdicts on backwards")
        assert daemon.metric('aemon_records_late_total{monitor="backwards"}') == 1
        assert daemon.stop() < 10
    crashes = [line for line in daemon.log.read_text().splitlines() if "Traceback" in line]
    assert crashes == []


def test_an_old_store_is_refused_with_what_to_do(plant, tmp_path):
    from tests.processes import aemon

    daemon = Daemon(tmp_path, monitor("good", sql_source(plant, "good")))
    connection = sqlite3.connect(tmp_path / "aemon.db")
    with connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0000')")
    connection.close()
    refused = aemon("run", "-c", str(daemon.config), check=False)
    assert refused.returncode == 5
    assert "schema 0000" in refused.stderr
    assert "Traceback" not in refused.stderr
