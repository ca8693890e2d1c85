"""The daemon on real sensors: 16 runs of a water-circulation rig, as 16 monitors."""

import csv

import pytest

from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = [pytest.mark.acceptance, pytest.mark.shared_data]
LEARNED = 400
NOT_SENSORS = ("datetime", "anomaly", "changepoint")


def read_runs(folder) -> dict[str, list[dict[str, str]]]:
    runs = {}
    for path in sorted(folder.glob("valve1-*.csv")):
        with path.open() as file:
            runs[path.stem.replace("-", "_")] = list(csv.DictReader(file, delimiter=";"))
    return runs


def table_rows(records, start, stop):
    for number in range(start, min(stop, len(records))):
        record = records[number]
        sensors = [float(value) for name, value in record.items() if name not in NOT_SENSORS]
        yield (number, record["datetime"], *sensors)


@pytest.mark.soak
def test_flagged_records_are_truly_anomalous_more_often_than_chance(shared_data, tmp_path):
    """Given 400 normal records each, When the rest streams in, Then precision beats base rate."""
    runs = read_runs(shared_data / "skab")
    assert len(runs) == 16
    database = tmp_path / "rig.db"
    sensors = [name for name in next(iter(runs.values()))[0] if name not in NOT_SENSORS]
    columns = ["ts TEXT", *(f'"{name}" REAL' for name in sensors)]
    monitors = ""
    for name, records in runs.items():
        make_table(database, name, columns)
        insert(database, name, table_rows(records, 0, LEARNED))
        monitors += (
            f"  {name}:\n    source: {sql_source(database, name)}\n"
            f"    score_every: 500ms\n    min_records: {LEARNED}\n"
        )
    with Daemon(tmp_path, monitors) as daemon:
        detectors = "SELECT count(*) FROM detectors"
        daemon.wait(lambda: daemon.query(detectors) == [(16,)], "16 detectors", seconds=240)
        longest = max(map(len, runs.values()))
        for start in range(LEARNED, longest, 200):
            for name, records in runs.items():
                part = list(table_rows(records, start, start + 200))
                if part:
                    insert(database, name, part)
        wanted = sum(len(records) - LEARNED for records in runs.values())
        scored = "SELECT count(*) FROM scores"
        daemon.wait(lambda: daemon.query(scored) == [(wanted,)], f"{wanted} verdicts", seconds=120)
        flagged = daemon.query("SELECT monitor, record_key FROM flagged_records")
        assert daemon.stop() < 10

    gains = {}
    for name, records in runs.items():
        truth = [record["anomaly"] == "1.0" for record in records]
        base = sum(truth[LEARNED:]) / len(truth[LEARNED:])
        mine = [truth[int(key)] for monitor, key in flagged if monitor == name]
        # A run with nothing flagged has gained nothing.
        gains[name] = sum(mine) / len(mine) - base if mine else 0.0
    worst = min(gains, key=gains.__getitem__)
    mean = sum(gains.values()) / len(gains)
    print(f"gain over base rate: mean {mean:.3f}, worst {gains[worst]:.3f} ({worst})")
    assert mean >= 0.10
