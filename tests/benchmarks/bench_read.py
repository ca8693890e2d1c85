"""What reading a million records costs, by kind of source: time beside pandas.read_sql, and memory.

    python tests/benchmarks/bench_read.py [--rows 1000000] [--chunk 50000] [--only driver,adbc]

Peer: pandas.read_sql with a server-side cursor, in chunks of the same size. Each way runs in a
process of its own; peak memory is above what the process has when all is imported and opened.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.config.source_registry import settings_class
from aemon.sources.source_kinds import open_replayable
from tests.postgres import found_binaries, run_server

COLUMNS = 10
WAYS = ("read_sql", "driver", "adbc", "sqlite", "duckdb", "csv", "parquet")
ORDERED = {"time": "ts", "key": "id"}


def fill(url: str, rows: int) -> None:
    values = ", ".join(f"sin(i::float8 / {n + 7}) AS x{n}" for n in range(COLUMNS))
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE readings AS SELECT timestamptz '2026-01-01' + i * interval '1 s' AS ts,"
            f" i::bigint AS id, {values} FROM generate_series(1, {rows}) i"
        )
        connection.execute("CREATE UNIQUE INDEX ON readings (ts, id)")
        connection.execute("ALTER TABLE readings ADD PRIMARY KEY (id)")  # the look for late rows
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE readings")


def pieces(url: str, chunk: int) -> Iterator[pd.DataFrame]:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect().execution_options(stream_results=True, max_row_buffer=chunk) as open_one:
        yield from pd.read_sql("SELECT * FROM readings ORDER BY ts, id", open_one, chunksize=chunk)


def copy(url: str, way: str, folder: Path, chunk: int) -> dict[str, Any]:
    """Write the table where a way reads it; return the settings of its source."""
    if way in ("driver", "adbc"):
        return {"kind": "sql", "url": url, "table": "readings", "read_with": way, **ORDERED}
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / f"readings.{way}"
    writer = None
    for piece in pieces(url, chunk):
        plain = piece.assign(ts=piece["ts"].dt.strftime("%Y-%m-%d %H:%M:%S"))
        if way == "csv":
            plain.to_csv(file, mode="a", header=not file.exists(), index=False)
        elif way == "sqlite":
            engine = sa.create_engine(f"sqlite:///{file}")
            plain.to_sql("readings", engine, if_exists="append", index=False)
        else:
            table = pa.Table.from_pandas(piece, preserve_index=False)
            writer = writer or pq.ParquetWriter(folder / "readings.parquet", table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    if way == "sqlite":
        with sa.create_engine(f"sqlite:///{file}").begin() as connection:
            connection.execute(sa.text("CREATE INDEX i ON readings (ts, id)"))
    if way == "duckdb":
        with duckdb.connect(str(file)) as connection:
            connection.execute(
                f"CREATE TABLE readings AS SELECT * FROM read_parquet('{folder}/readings.parquet')"
            )
    if way in ("sqlite", "duckdb"):
        return {"kind": "sql", "url": f"{way}:///{file}", "table": "readings", **ORDERED}
    return {"kind": way, "path": str(file), "time": "ts", "key": "id"}


def memory_mb(name: str) -> float:
    """VmRSS, or VmHWM: the peak since it was last forgotten."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def read(way: str, url: str, settings: dict[str, Any], chunk: int, told: Any) -> None:
    rows = 0
    source = None
    if way != "read_sql":
        kind = settings_class(settings["kind"])
        source = open_replayable(kind.model_validate(settings), clock=utc_now)
        source.fetch(None, 10)
    else:
        next(pieces(url, 10))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak of imports
    idle, begun = memory_mb("VmRSS"), time.perf_counter()
    if source is None:
        rows = sum(len(piece) for piece in pieces(url, chunk))
    else:
        mark, more = None, True
        while more:
            fetched = source.fetch(mark, chunk)
            rows, mark, more = rows + len(fetched.table), fetched.watermark, fetched.more
        source.close()
    told.send((rows, time.perf_counter() - begun, memory_mb("VmHWM") - idle))


def measure(way: str, url: str, settings: dict[str, Any], chunk: int) -> tuple[int, float, float]:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=read, args=(way, url, settings, chunk, theirs))
    process.start()
    theirs.close()
    found: tuple[int, float, float] = mine.recv()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=50_000)
    parser.add_argument("--only", default=",".join(WAYS))
    given = parser.parse_args()
    with run_server(found_binaries()) as url, tempfile.TemporaryDirectory() as folder:
        fill(url, given.rows)
        _, peer, _ = measure("read_sql", url, {}, given.chunk)
        for way in given.only.split(","):
            settings = {} if way == "read_sql" else copy(url, way, Path(folder), given.chunk)
            rows, seconds, peak = measure(way, url, settings, given.chunk)
            assert rows == given.rows, (way, rows)
            print(
                f"{way:9} {seconds:6.2f} s, {seconds / peer:5.2f}x the time of read_sql, "
                f"{peer / seconds:5.2f}x as fast; peak {peak:4.0f} MB above idle", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
