"""`aemon codes`: the file it writes, what it says of it, and what it refuses."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow.parquet
import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, WIDTH, add_monitor, run, sql
from tests.processes import insert

FAULT = (readings.START + timedelta(hours=1)).isoformat()


@pytest.fixture
def trained(folder, once):

    def build() -> None:
        run(folder, "train")
        insert(folder / "plant.db", "readings", [(5000, FAULT, 9.0, 2.2, 0.8)])

    return once(build)


def table(folder, *options):
    told = json.loads(
        run(folder, "codes", "pumps", "--out", "c.parquet", *options, "--json").stdout
    )
    return told, pyarrow.parquet.read_table(folder / "c.parquet")


def test_the_newest_records_are_exported_with_code_map_and_verdict(trained):
    # When all records are exported, one of which is a fault that was judged by nobody
    told, exported = table(trained)
    # Then each has its key, time, code, place and verdict
    assert exported.column_names == [
        "record_key", "entity", "event_time", "code_0", "code_1", "map_x", "map_y", "score",
        "verdict",
    ]  # fmt: skip
    rows = exported.to_pylist()
    assert len(rows) == told["records"] == LEARNED + 1
    assert rows[-1]["record_key"] == "5000"
    assert rows[-1]["verdict"] == "anomaly"
    assert rows[-1]["event_time"] == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert rows[0]["event_time"] == readings.START
    assert {row["verdict"] for row in rows[:-1]} <= {"normal", "anomaly"}
    assert exported.schema.metadata == {b"aemon.monitor": b"pumps", b"aemon.detector": b"1"}
    # And the sizes are those of two numbers instead of three
    assert told["code_bytes"] == (LEARNED + 1) * 2 * 4
    assert told["record_bytes"] == (LEARNED + 1) * 3 * 4
    assert set(told["by_column"]) == {"flow", "pressure", "current"}
    assert told["error"] > 0


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--records", "7"), 7),
        (("--since", "2026-01-01T00:59"), 1),
        (("--until", "2026-01-01T00:00:30Z"), 30),
        (("--since", "2026-01-01T00:00:10+00:00", "--until", "2026-01-01 00:00:30"), 20),
        (("--until", "1d", "--records", "5"), 5),
    ],
)
def test_which_records_may_be_said(trained, options, count):
    told, exported = table(trained, *options)
    assert told["records"] == exported.num_rows == count


def test_people_are_told_what_it_saves_and_what_it_costs(trained):
    text = run(trained, "codes", "pumps", "--out", "c.parquet").stdout
    assert max(map(len, text.splitlines())) <= WIDTH
    words = " ".join(text.split())
    assert "201 records of pumps, by detector 1" in words
    assert "codes take 1,608 bytes, the records 2,412 as float32: 67%" in words
    assert "largest error in error" in words


def test_what_stands_in_the_way_is_said(folder):
    def refused(*options, code):
        return run(folder, "codes", "pumps", *options, code=code).stderr

    out = ("--out", "c.parquet")
    assert "no results yet" in refused(*out, code=ExitCode.NO_DETECTOR)
    run(folder, "db", "upgrade")
    assert "run `aemon train`" in refused(*out, code=ExitCode.NO_DETECTOR)
    run(folder, "train")
    later = (*out, "--since", "2999-01-01")
    assert "pumps has no records to export" in refused(*later, code=ExitCode.NO_DETECTOR)
    nowhere = ("--out", "nowhere/c.parquet")
    assert "nowhere/c.parquet cannot be written" in refused(*nowhere, code=ExitCode.FAILED)
    assert "--since" in refused(*out, "--since", "noon", code=ExitCode.USAGE)
    assert not (folder / "c.parquet").exists()


def test_without_pyarrow_the_extra_is_named(folder):
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.argv = ['aemon', 'codes', 'pumps', "
        "'--out', 'c.parquet']; from aemon.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert done.returncode == ExitCode.FAILED
    assert "pip install 'aemon[parquet]'" in done.stderr


def test_entities_come_along(folder):
    add_monitor(
        folder, "by_pump", sql(folder, "readings", ", entity: pump"),
        f"    min_records: {LEARNED}\n    detector: {{steps: 20, members: 1, kind: linear}}\n",
    )  # fmt: skip
    import sqlite3

    connection = sqlite3.connect(folder / "plant.db")
    with connection:
        connection.execute("ALTER TABLE readings ADD COLUMN pump TEXT")
        connection.execute("UPDATE readings SET pump = 'P-' || (id % 2)")
    connection.close()
    run(folder, "train", "by_pump")
    run(folder, "codes", "by_pump", "--out", "c.parquet")
    entities = pyarrow.parquet.read_table(folder / "c.parquet")["entity"].to_pylist()
    assert entities[:2] == ["P-0", "P-1"]
