"""Parquet files from the configuration to flagged records, by the command line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from tests import readings
from tests.cli.commands import LEARNED, add_monitor, run

STEPS = f"    min_records: {LEARNED}\n    detector: {{steps: 60, members: 1}}\n"


def write(path, rows):
    columns = zip(*rows, strict=True)
    names = ["id", "ts", "flow", "pressure", "current"]
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def test_a_file_that_is_replaced_by_a_longer_one_is_learned_from_and_judged(folder):
    lake = folder / "lake"
    lake.mkdir()
    rows = list(readings.rows(LEARNED + 20))
    write(lake / "0.parquet", rows[:LEARNED])
    add_monitor(folder, "lake", f"{{kind: parquet, path: {lake}, time: ts}}", STEPS)
    (made,) = json.loads(run(folder, "train", "lake", "--json").stdout)
    assert made["records"] == LEARNED
    fault = (9999, rows[LEARNED + 9][1], 90.0, 2.2, 0.8)
    write(lake / "0.parquet", [*rows[: LEARNED + 10], fault])
    write(lake / "1.parquet", [(7, "soon", 1.0, 1.0, 1.0), *rows[LEARNED + 10 :]])
    (scored,) = json.loads(run(folder, "score", "lake", "--json").stdout)
    assert scored["records_scored"] == 21
    (flagged,) = json.loads(run(folder, "anomalies", "lake", "--json").stdout)
    assert flagged["record_key"] == f"0.parquet:{LEARNED + 11}"
    (rejected,) = json.loads(run(folder, "rejected", "lake", "--json").stdout)
    assert json.loads(rejected["record"])["file:row"] == "1.parquet:1"
    (again,) = json.loads(run(folder, "score", "lake", "--json").stdout)
    assert again["records_scored"] == 0
