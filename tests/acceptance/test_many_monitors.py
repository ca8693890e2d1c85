"""Many monitors in one daemon: every tick comes, and comes in time."""

import os
import sqlite3
import time
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest

from tests import readings
from tests.processes import Daemon, insert, make_table, sql_source

LEARNED = 200


def run(tmp_path, monitors: int, interval: float, seconds: float) -> dict[str, float]:
    """Watch copies of one table's records, each under its own name, for a while.

    A tick's lateness is its distance from the beat its monitor keeps, by the ledger.
    """
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(LEARNED))
    one = (
        f"    source: {sql_source(database)}\n    score_every: {interval:g}s\n"
        f"    min_records: {LEARNED}\n    detector: {{kind: linear, members: 1}}\n"
        "    life: {trial: false}\n"
    )
    names = [f"m{number:04d}" for number in range(monitors)]
    with Daemon(tmp_path, "".join(f"  {name}:\n{one}" for name in names[:1])) as first:
        first.wait(lambda: first.query("SELECT 1 FROM detectors") != [], "a detector")
        first.stop()
    _give_to_all(tmp_path / "aemon.db", names)
    config = first.config.read_text()
    first.config.write_text(
        config[: config.index("monitors:")]
        + "monitors:\n"
        + "".join(f"  {name}:\n{one}" for name in names)
    )
    with first as daemon:
        process = psutil.Process(daemon.process.pid)
        time.sleep(2 * interval)  # until every monitor has loaded its detector
        began, used = time.time(), process.cpu_times()
        numbers, largest = LEARNED, 0.0
        while time.time() - began < seconds:
            insert(database, "readings", readings.rows(5, first=numbers))
            numbers += 5
            time.sleep(interval / 2)
            largest = max(largest, process.memory_info().rss)
        after, ended = process.cpu_times(), time.time()
        scraped = time.perf_counter()
        page = daemon.get("/metrics") or ""
        scraped = time.perf_counter() - scraped
        daemon.stop()
    found = daemon.query(
        "SELECT monitor, outcome, started_at FROM runs WHERE job = 'score' AND started_at >= ?"
        " AND started_at < ? AND reason <> 'aemon is stopping'",
        f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M:%S}",
        f"{datetime.fromtimestamp(ended, UTC):%Y-%m-%d %H:%M:%S}",
    )
    late = _lateness([(name, at) for name, _, at in found], interval)
    busy = (after.user + after.system) - (used.user + used.system)
    figures = {
        "ticks": len(found),
        "expected": monitors * seconds / interval,
        "not well": sum(outcome not in {"ok", "no_data"} for _, outcome, _ in found),
        "p50": float(np.quantile(late, 0.5)),
        "p99": float(np.quantile(late, 0.99)),
        "worst": float(late.max()),
        "megabytes": largest / 2**20,
        "cpu": busy / (ended - began),
        "scrape seconds": scraped,
        "scrape kilobytes": len(page) / 1000,
    }
    print("\n" + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures


def _give_to_all(store, names) -> None:
    """Copy the first monitor's detector and watermark to all others: training is not measured."""
    connection = sqlite3.connect(store)
    connection.row_factory = sqlite3.Row
    whose = {"monitors": "name", "detectors": "monitor", "watermarks": "monitor"}
    with connection:
        for table in ("monitors", "detectors", "thresholds", "watermarks"):
            first = dict(connection.execute(f"SELECT * FROM {table}").fetchone())
            columns, marks = ", ".join(first), ", ".join("?" * len(first))
            for number, name in enumerate(names[1:], start=2):
                own = {"id": number, "detector_id": number, whose.get(table): name}
                row = {**first, **{key: own[key] for key in first if key in own}}
                connection.execute(
                    f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values())
                )
        connection.execute("DELETE FROM leases")
    connection.close()


def _lateness(ticks, interval: float) -> np.ndarray:
    """Seconds each tick came behind its monitor's beat: that of its earliest one, modulo the pause."""
    by_monitor: dict[str, list[float]] = {}
    for name, at in ticks:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
        by_monitor.setdefault(name, []).append(moment)
    late = []
    for moments in by_monitor.values():
        phases = np.array(moments) % interval
        # The earliest phase, on a circle: all lie within half a turn behind it.
        turned = [((phases - phase) % interval).max() for phase in phases]
        base = phases[int(np.argmin(turned))]
        late.extend(((phases - base) % interval).tolist())
    return np.array(late)


@pytest.mark.acceptance
@pytest.mark.alone
def test_a_hundred_monitors_keep_their_beat(tmp_path):
    figures = run(tmp_path, 100, interval=6, seconds=18)
    assert figures["not well"] == 0
    assert figures["ticks"] > 0.9 * figures["expected"]
    assert figures["p99"] < 2


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_thousand_monitors_keep_the_minute(tmp_path):
    """As long as AEMON_MANY_SECONDS says, five minutes by default."""
    seconds = float(os.environ.get("AEMON_MANY_SECONDS", "300"))
    figures = run(tmp_path, 1000, interval=60, seconds=seconds)
    assert figures["not well"] == 0
    assert figures["ticks"] > 0.97 * figures["expected"]
    assert figures["p99"] < 2
    assert figures["megabytes"] < 1000
