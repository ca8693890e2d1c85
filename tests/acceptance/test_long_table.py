"""The daemon on a historian's long table: each tag of a real rig at times of its own."""

import csv
import json
from datetime import datetime, timedelta

import pytest

from tests.processes import Daemon, aemon, insert, make_table

pytestmark = [pytest.mark.acceptance, pytest.mark.shared_data]
LEARNED = 400  # seconds without a fault
TAGS = ("Accelerometer1RMS", "Current", "Pressure", "Temperature", "Volume Flow RateRMS")
COLUMNS = ["ts TEXT", "tag TEXT", "value REAL", "q INTEGER"]
MONITOR = """
  rig:
    source:
      kind: sql
      url: sqlite:///{database}
      table: readings
      time: ts
      key: id
      pivot: {{name: tag, value: value}}
      bucket: {{every: 2s, aggregate: {{Temperature: last}}, wait: 1s}}
      quality: {{column: q, good: [192]}}
    score_every: 500ms
    min_records: 150
    threshold: {{false_alarm_rate: 0.01}}
"""


def long_rows(records, *, first):
    """(id, ts, tag, value, q): a tag in each fifth of a second, and a bad reading now and then."""
    number = len(TAGS) * first
    for second, record in enumerate(records, start=first):
        for place, tag in enumerate(TAGS):
            number += 1
            at = datetime.fromisoformat(record["datetime"]) + timedelta(seconds=place / 5)
            bad = (second + place) % 50 == 0
            value = 1e6 if bad else float(record[tag])
            yield (
                number,
                at.isoformat(sep=" ", timespec="milliseconds"),
                tag,
                value,
                0 if bad else 192,
            )


def test_a_fault_in_a_long_table_is_flagged(shared_data, tmp_path):
    # Given: a long table of a rig's first minutes
    with (shared_data / "skab" / "valve1-0.csv").open() as file:
        records = list(csv.DictReader(file, delimiter=";"))
    database = tmp_path / "historian.db"
    make_table(database, "readings", COLUMNS)
    insert(database, "readings", long_rows(records[:LEARNED], first=0))
    monitor = MONITOR.format(database=database)
    (tmp_path / "aemon.yaml").write_text(
        f"store: sqlite:///{tmp_path}/aemon.db\nmonitors:{monitor}"
    )
    done = aemon("check", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = json.loads(done.stdout)["monitors"]
    assert [column["column"] for column in shown["columns"]] == sorted(TAGS)
    assert shown["records_seen"] == 150
    (tmp_path / "aemon.yaml").unlink()
    # When: a daemon has learned it, and the rest comes while it runs
    with Daemon(tmp_path, monitor) as daemon:
        daemon.wait(
            lambda: daemon.query("SELECT count(*) FROM detectors") == [(1,)],
            "a detector",
            seconds=120,
        )
        for start in range(LEARNED, len(records), 150):
            insert(database, "readings", long_rows(records[start : start + 150], first=start))
        first, last = (datetime.fromisoformat(records[row]["datetime"]) for row in (0, -1))
        buckets = (last - first) // timedelta(seconds=2)
        scored = "SELECT count(*), count(DISTINCT record_key), max(record_key) FROM scores"
        until = f"{last - timedelta(seconds=last.second % 2):%Y-%m-%dT%H:%M:%S}Z"
        daemon.wait(lambda: daemon.query(scored)[0][2] == until, "the last verdict", seconds=60)
        ((count, keys, _),) = daemon.query(scored)
        flagged = {key for (key,) in daemon.query("SELECT record_key FROM flagged_records")}
        assert daemon.stop() < 10
    # Then: each bucket has one verdict, and most flagged records lie in the fault
    assert count == keys
    assert count > buckets / 2
    faulty = {
        f"{at - timedelta(seconds=at.second % 2):%Y-%m-%dT%H:%M:%S}Z"
        for record in records
        if record["anomaly"] == "1.0" and (at := datetime.fromisoformat(record["datetime"]))
    }
    print(
        f"{len(flagged)} of {count} records flagged, {len(flagged & faulty)} of {len(faulty)} in the fault"
    )
    assert len(flagged & faulty) > len(flagged) / 2
