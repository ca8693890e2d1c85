"""Saving verdicts, against the barest way there is to write the same rows into the same table.

    python tests/benchmarks/bench_store.py [--records 200000] [--runs 5] [--keys growing|random]

The floor is a COPY of ready rows (PostgreSQL, psycopg) or an executemany of them (sqlite3), in
the same chunks, a transaction each, into an equal and equally full `scores`. aemon also moves the
watermark, asks which records are known, notes the run, and writes the reasons of 1 % flagged
records. Must: at most 1.5x.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.records import Job, Outcome, Watermark
from aemon.run_report import RunCounts, RunReport
from aemon.store.bulk import Same
from aemon.store.detectors import NewDetector, save_detector
from aemon.store.engine import open_engine
from aemon.store.ledger import note_progress
from aemon.store.schema import revisions
from aemon.store.schema.column_types import time_text
from aemon.store.store import Store
from aemon.store.verdicts import VerdictRows, compare_verdicts, save_verdicts
from tests.postgres import find_binaries, run_server

CHUNK = 10_000
START = datetime(2026, 10, 1, tzinfo=UTC)
COLUMNS = (
    "monitor", "record_key", "entity", "revision", "event_time", "scored_at", "score", "p_value",
    "exceedance", "verdict", "detector_id", "threshold_id", "late", "imputed_share", "record_hash",
    "run_id",
)  # fmt: skip


def judged(
    first: int, count: int, rng: np.random.Generator, keys: str, flagged: float
) -> VerdictRows:
    scores = rng.lognormal(size=count)
    anomalous = rng.uniform(size=count) < flagged
    names = [
        str(n) if keys == "growing" else f"{zlib.crc32(str(n).encode()):08x}{n:x}"
        for n in range(first, first + count)
    ]
    start = np.datetime64(START.replace(tzinfo=None), "us")
    times = start + np.arange(first, first + count) * np.timedelta64(1, "s")
    columns = {
        "record_key": names,
        "entity": [f"p{n % 8}" for n in range(count)],
        "event_time": times,
        "scored_at": Same(START, count),
        "score": scores.tolist(),
        "p_value": rng.uniform(size=count).tolist(),
        "exceedance": (scores / 9).tolist(),
        "verdict": np.where(anomalous, "anomaly", "normal").tolist(),
        "detector_id": Same(1, count),
        "threshold_id": Same(1, count),
        "late": [False] * count,
        "imputed_share": [0.0] * count,
        "record_hash": rng.integers(-(2**63), 2**63 - 1, count).tolist(),
    }
    rows = np.flatnonzero(anomalous).tolist()
    identities = [{"record_key": names[n], "entity": columns["entity"][n]} for n in rows]
    anomalies = [
        {
            **who, "event_time": times[n].item().replace(tzinfo=UTC), "severity": "warning", "reason": "flow 1 where 5 was expected",
            "observed": {"flow": 1.0}, "reconstructed": {"flow": 5.0},
        }
        for n, who in zip(rows, identities, strict=True)
    ]  # fmt: skip
    contributions = [
        {
            **who, "rank": rank, "feature": f"c{rank}", "observed": 1.0, "reconstructed": 5.0,
            "observed_text": "1", "reconstructed_text": "5", "error": 4.0, "share": 0.1,
        }
        for who in identities
        for rank in range(1, 11)
    ]  # fmt: skip
    return VerdictRows(scores=columns, anomalies=anomalies, contributions=contributions)


def bare_rows(rows: VerdictRows, *, as_text: bool) -> list[tuple]:
    """The same rows as the driver takes them."""
    count = len(rows)
    own = {"monitor": ["floor"] * count, "revision": [1] * count, "run_id": [1] * count}
    columns = {**own, **rows.scores}
    columns["event_time"] = [time.replace(tzinfo=UTC) for time in columns["event_time"].tolist()]
    if as_text:
        for name in ("event_time", "scored_at"):
            columns[name] = [time_text(value) for value in columns[name]]
    return list(zip(*(columns[name] for name in COLUMNS), strict=True))


@contextmanager
def database(kind: str):
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'aemon.db'}"
    else:
        with run_server(find_binaries()[0]) as url:
            yield url


def prepared(url: str) -> Store:
    engine = open_engine(url)
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["ours", "floor"])
    provenance = {
        "trained_from": START, "trained_until": START, "training_records": 1,
        "validation_records": 1, "calibration_records": 1, "seed": 0, "validation_error": 0.1,
        "settings_hash": "", "feature_map_hash": "", "data_hash": "", "versions": {},
    }  # fmt: skip
    line = {"value": 9.0, "method": "conformal", "false_alarm_rate": 0.01, "calibration_records": 1}
    first = Watermark(event_time=START, record_key="", position="0")
    new = NewDetector(artifact=b"", columns=provenance, threshold=line, watermark=first)
    save_detector(store, "ours", new)
    return store


def ours_seconds(store: Store, chunks: list[VerdictRows]) -> float:
    mark = store.mark("ours")
    run_id = None
    began = time.perf_counter()
    for rows in chunks:
        to = Watermark(
            event_time=rows.scores["event_time"][-1].item().replace(tzinfo=UTC), position="1"
        )

        with store.commit("ours", mark, to, to) as commit:
            saved = compare_verdicts(commit, rows)
            report = RunReport(
                monitor="ours", job=Job.SCORE, outcome=Outcome.RUNNING, started_at=START,
                finished_at=START, counts=RunCounts(records_scored=int(saved.fresh.sum())),
            )  # fmt: skip
            run_id = note_progress(commit.connection, run_id, report)
            save_verdicts(commit, rows, saved, run_id=run_id)
        mark = commit.mark
    return time.perf_counter() - began


def floor_seconds(store: Store, url: str, chunks: list[VerdictRows]) -> float:
    sqlite = url.startswith("sqlite")
    ready = [bare_rows(rows, as_text=sqlite) for rows in chunks]
    named = ", ".join(COLUMNS)
    if sqlite:
        connection = sqlite3.connect(str(store.engine.url.database), isolation_level=None)
        connection.execute("PRAGMA synchronous=NORMAL")
        statement = f"INSERT INTO scores ({named}) VALUES ({', '.join('?' * len(COLUMNS))})"
        began = time.perf_counter()
        for rows in ready:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
    else:
        import psycopg

        connection = psycopg.connect(url)
        began = time.perf_counter()
        for rows in ready:
            cursor = connection.cursor()
            with cursor.copy(f"COPY scores ({named}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            connection.commit()
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000, help="a round")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keys", choices=("growing", "random"), default="growing")
    parser.add_argument("--database", nargs="*", default=("sqlite", "postgresql"))
    parser.add_argument("--flagged", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind in options.database:
        ratios, speeds = [], []
        rng = np.random.default_rng(options.seed)
        with database(kind) as url:
            store = prepared(url)
            for number in range(options.runs):
                first = 100_000 + number * options.records
                chunks = [
                    judged(start, CHUNK, rng, options.keys, options.flagged)
                    for start in range(first, first + options.records, CHUNK)
                ]
                # In turns, each before the other: the table grows and the machine is shared.
                if number % 2:
                    floor = floor_seconds(store, url, chunks)
                    ours = ours_seconds(store, chunks)
                else:
                    ours = ours_seconds(store, chunks)
                    floor = floor_seconds(store, url, chunks)
                ratios.append(ours / floor)
                speeds.append(options.records / ours)
            with store.reading() as connection:
                count = connection.execute(sa.text("SELECT count(*) FROM scores")).scalar()
            assert count == 2 * options.runs * options.records
            store.close()
        print(
            f"{kind}, {options.keys} keys: {statistics.median(speeds):,.0f} verdicts/s, aemon / bare:"
            f" median {statistics.median(ratios):.2f}, worst {max(ratios):.2f} (must: <= 1.5)"
        )


if __name__ == "__main__":
    main()
