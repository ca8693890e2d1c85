"""How soon aemon answers, how soon the daemon is ready, and what it weighs between trainings.

    python tests/benchmarks/bench_start.py [--runs 5]

Prints medians and worst cases. Ready is counted from the start of the process to the first
200 of /readyz; memory is the daemon process's resident set after a training and a scoring.
"""

import argparse
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil

RECORDS = 20_000
COLUMNS = 20


def seconds_of(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def write_plant(path: Path) -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(RECORDS, 4)) @ rng.normal(size=(4, COLUMNS))
    values = latent + 0.1 * rng.normal(size=(RECORDS, COLUMNS))
    names = [f"c{n}" for n in range(COLUMNS)]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with sqlite3.connect(path) as connection:
        columns = ", ".join(f"{name} REAL" for name in names)
        connection.execute(f"CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, {columns})")
        connection.executemany(
            f"INSERT INTO readings VALUES (?, ?{', ?' * COLUMNS})",
            [
                (n, (start + timedelta(seconds=n)).isoformat(), *row)
                for n, row in enumerate(values.tolist())
            ],
        )
    connection.close()


def daemon_figures() -> tuple[float, float]:
    """Seconds until ready; MB resident after training and scoring."""
    with tempfile.TemporaryDirectory() as folder:
        write_plant(Path(folder) / "plant.db")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (Path(folder) / "aemon.yaml").write_text(
            f"store: sqlite:///{folder}/aemon.db\n"
            f"http: {{listen: 127.0.0.1:{port}}}\n"
            "monitors:\n  plant:\n"
            f"    source: {{kind: sql, url: 'sqlite:///{folder}/plant.db', table: readings,"
            " time: ts, key: id}\n"
            "    score_every: 1s\n    min_records: 5000\n"
        )
        began = time.perf_counter()
        daemon = subprocess.Popen(
            [sys.executable, "-m", "aemon", "run", "-c", f"{folder}/aemon.yaml"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = wait_for(f"http://127.0.0.1:{port}/readyz", lambda _: True) - began
            scored = f'aemon_records_scored_total{{monitor="plant"}} {RECORDS - 5000}.0'
            wait_for(f"http://127.0.0.1:{port}/metrics", lambda text: scored in text)
            time.sleep(3)
            return ready, psutil.Process(daemon.pid).memory_info().rss / 2**20
        finally:
            daemon.terminate()
            daemon.wait(15)


def wait_for(url: str, done, seconds: float = 120) -> float:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if done(answer.read().decode()):
                    return time.perf_counter()
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError(url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    bare = [seconds_of([sys.executable, "-c", "pass"]) for _ in range(runs)]
    helps = [seconds_of([sys.executable, "-m", "aemon", "--help"]) for _ in range(runs)]
    figures = [daemon_figures() for _ in range(max(1, runs // 2))]
    readies, memories = zip(*figures, strict=True)
    print(f"{'what':<42}{'median':>9}{'worst':>9}{'must':>9}")
    for what, values, must, unit in (
        ("python -c pass", bare, "", "s"),
        ("aemon --help", helps, "< 0.4", "s"),
        ("daemon ready", readies, "< 3", "s"),
        ("daemon memory between trainings", memories, "< 200", "MB"),
    ):
        print(
            f"{what + ', ' + unit:<42}{statistics.median(values):>9.2f}{max(values):>9.2f}{must:>9}"
        )
    print(f"aemon --help / bare python: {statistics.median(helps) / statistics.median(bare):.1f}")


if __name__ == "__main__":
    main()
