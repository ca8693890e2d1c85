"""What reading a Prometheus costs: a first training's history, and one tick of many queries.

    python tests/benchmarks/bench_prometheus.py [--queries 50] [--steps 10080] [--ticks 20]

Peer: the same range queries as bare HTTP requests on kept connections, as many at once, their
answers thrown away. The server is a local Prometheus with a week of minutes.
"""

import argparse
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import local
from urllib.parse import urlencode, urlsplit

from aemon.sources.prometheus.asking import AT_ONCE
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.source_kinds import open_replayable
from tests.prometheus import prometheus

STEP = 60
TICK_STEPS = 2


def write_blocks(folder: Path, queries: int, first: int, steps: int) -> None:
    """Write a series for each query into blocks of a server that does not run yet."""
    text = folder / "history.txt"
    with text.open("w") as file:
        for query in range(queries):
            file.write(f"# TYPE m{query} gauge\n")
            for step in range(steps):
                value = 100 + math.sin(step / 97 + query) + (step * 7919 % 1000) / 1e5
                file.write(f"m{query} {value:.6f} {first + step * STEP}\n")
        file.write("# EOF\n")
    (folder / "tsdb").mkdir()
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), f"{folder}/tsdb"],
        check=True, capture_output=True,
    )  # fmt: skip


def bare(url: str, names: Sequence[str], first: int, last: int) -> Callable[[], None]:
    """Requests without any reading of answers."""
    kept = local()
    pool = ThreadPoolExecutor(AT_ONCE)
    host = urlsplit(url).netloc

    def ask(name: str) -> int:
        if not hasattr(kept, "connection"):
            kept.connection = HTTPConnection(host)
        form = urlencode({"query": name, "start": first, "end": last, "step": STEP})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        kept.connection.request("POST", "/api/v1/query_range", form, kind)
        return len(kept.connection.getresponse().read())

    return lambda: print(end="" if sum(pool.map(ask, names)) else "nothing\n")


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--steps", type=int, default=10_080)
    parser.add_argument("--ticks", type=int, default=40)
    given = parser.parse_args()
    last = int(time.time()) // STEP * STEP - STEP * 5
    first = last - (given.steps - 1) * STEP
    names = [f"m{query}" for query in range(given.queries)]
    with tempfile.TemporaryDirectory() as folder:
        write_blocks(Path(folder), given.queries, first, given.steps)
        with prometheus(Path(folder), []) as server:
            settings = PrometheusSource(
                url=server.url, step=timedelta(seconds=STEP), queries={n: n for n in names}
            )
            clock = lambda: datetime.fromtimestamp(last + 30, UTC)  # noqa: E731
            source = open_replayable(settings, clock=clock)
            rows = []
            cold = seconds(lambda: rows.append(source.fetch(None, 50_000)))
            table = rows[0].table
            print(f"{len(table)} records x {table.shape[1] - 2} columns, history of 30 days")
            whole = bare(server.url, names, first, last)
            peers = [seconds(whole) for _ in range(3)]
            again = [seconds(lambda: source.fetch(None, 50_000)) for _ in range(3)]
            print(f"first read {cold:.2f} s; again {min(again):.2f} s; bare {min(peers):.2f} s")
            mark = source.newest(None, TICK_STEPS + 1).watermark
            mark = source.fetch(None, given.steps - TICK_STEPS).watermark
            tick = bare(server.url, names, last - STEP * (TICK_STEPS - 1), last)
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(given.ticks):  # in turns: both meet the same neighbours
                theirs.append(seconds(tick))
                ours.append(seconds(lambda: rows.append(source.fetch(mark, 10_000))))
            assert len(rows[-1].table) == TICK_STEPS
            our, peer = statistics.median(ours), statistics.median(theirs)
            print(
                f"a tick of {given.queries} queries: median {1000 * our:.1f} ms, "
                f"bare requests {1000 * peer:.1f} ms: {our / peer:.2f} x"
            )
            source.close()


if __name__ == "__main__":
    main()
