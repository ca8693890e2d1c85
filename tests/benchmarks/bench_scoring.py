"""From SQL table to stored verdicts, against the same reading and writing with no scoring.

    python tests/benchmarks/bench_scoring.py [--records 200000] [--columns 20] [--runs 3]

The floor reads all rows with SQLAlchemy Core and writes the very verdict rows aemon stored, in
the same chunks and into the same kind of table, with a plain Core insert. Must: at most 3x.
"""

import argparse
import logging
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.daemon.once import score_monitors
from aemon.lifecycle.training_run import train_once
from aemon.records import Outcome
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.tables import scores
from aemon.store.store import Store

TRAINING_RECORDS = 2000
CHUNK = 10_000


def write_source(path: Path, records: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(records, max(2, columns // 4)))
    values = hidden @ rng.normal(size=(hidden.shape[1], columns))
    values += 0.2 * rng.normal(size=values.shape)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    names = ", ".join(f"c{n} REAL" for n in range(columns))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, {names})")
        connection.executemany(
            f"INSERT INTO readings VALUES (?, ?{', ?' * columns})",
            (
                (n, (start + timedelta(seconds=n)).isoformat(), *row)
                for n, row in enumerate(values.tolist())
            ),
        )
        connection.execute("CREATE INDEX by_time ON readings (ts, id)")
    connection.close()


def copy(database: Path, to: Path) -> None:
    """A store as it is before any verdict, so that the floor writes beside the same rows."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def aemon_seconds(folder: Path, settings: MonitorSettings) -> tuple[float, Store]:
    engine = open_engine(f"sqlite:///{folder}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["plant"])
    train_once("plant", settings, store, utc_now)
    copy(folder / "aemon.db", folder / "floor.db")
    began = time.perf_counter()
    (report,) = score_monitors({"plant": settings}, store)
    seconds = time.perf_counter() - began
    assert report.outcome is Outcome.OK, report.reason
    print(
        f"  scored {report.counts.records_scored}, flagged {report.counts.anomalies}, {seconds:.2f} s"
    )
    return seconds, store


def floor_seconds(folder: Path, rows: list[dict]) -> float:
    reader = sa.create_engine(f"sqlite:///{folder}/plant.db")
    writer = open_engine(f"sqlite:///{folder}/floor.db")
    readings = sa.Table("readings", sa.MetaData(), autoload_with=reader)
    began = time.perf_counter()
    with reader.connect() as connection:
        result = connection.execution_options(stream_results=True).execute(
            sa.select(readings).order_by(readings.c.ts, readings.c.id)
        )
        read = sum(len(part) for part in result.partitions(CHUNK))
    with writer.connect() as connection:
        for start in range(0, len(rows), CHUNK):
            connection.execute(sa.insert(scores), rows[start : start + CHUNK])
            connection.commit()
    seconds = time.perf_counter() - began
    print(f"  floor: read {read}, wrote {len(rows)}, {seconds:.2f} s")
    reader.dispose()
    writer.dispose()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable()  # a line for every flagged record is for people
    ratios = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_source(
                folder / "plant.db",
                options.records + TRAINING_RECORDS,
                options.columns,
                options.seed,
            )
            settings = MonitorSettings.model_validate(
                {
                    "source": {
                        "kind": "sql",
                        "url": f"sqlite:///{folder}/plant.db",
                        "table": "readings",
                        "time": "ts",
                        "key": "id",
                    },
                    "score_every": "1s",
                    "min_records": TRAINING_RECORDS,
                    "chunk_records": CHUNK,
                }
            )
            ours, store = aemon_seconds(folder, settings)
            query = sa.select(scores).order_by(scores.c.event_time)  # as they came
            with store.reading() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            store.close()
            ratios.append(ours / floor_seconds(folder, rows))
    print(
        f"aemon / floor: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f} (must: <= 3)"
    )


if __name__ == "__main__":
    main()
