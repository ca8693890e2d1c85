"""Records that are pushed to a daemon over HTTP, each request answered once it is on the disk.

    python tests/benchmarks/bench_push.py [--records 200000] [--batch 500] [--format jsonl]

A real daemon with a SQLite store, and clients in another process that keep their connections. Must: 20,000
records a second in batches of 500, with a core to spare. The daemon's own processor time is told, too.
"""

import argparse
import http.client
import json
import multiprocessing
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from tests.processes import Daemon
from tests.web_security import PUSH_TOKEN, sha256

MONITORS = """
  pumps:
    source: {kind: push, entity: pump}
    score_every: 1h
    min_records: 5000000
    max_training_records: 5000000
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = {"jsonl": "application/jsonl", "json": "application/json", "csv": "text/csv", "line": ""}


def body(first: int, count: int, form: str) -> bytes:
    """A batch of records with an entity, a time and five columns."""
    rows = [
        {
            "time": (START + timedelta(seconds=n // 50)).isoformat(), "pump": f"p{n % 50}",
            "flow": n / 7, "pressure": n % 13 / 3, "current": 7.5, "state": "on", "level": n,
        }
        for n in range(first, first + count)
    ]  # fmt: skip
    if form == "json":
        return json.dumps(rows).encode()
    if form == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    if form == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        return "\n".join(lines).encode()
    nanoseconds = 10**9
    return "\n".join(
        f"pumps,pump={row['pump']} flow={row['flow']},pressure={row['pressure']},current=7.5,"
        f'state="on",level={row["level"]}i '
        f"{round(datetime.fromisoformat(row['time']).timestamp()) * nanoseconds}"
        for row in rows
    ).encode()


def push(
    port: int, bodies: list[bytes], form: str, seconds: "multiprocessing.Queue[float]"
) -> None:
    """Send batches on four connections; tell how long it took."""
    path = "/write?db=pumps" if form == "line" else "/api/v1/records/pumps"
    headers = {"Authorization": f"Bearer {PUSH_TOKEN}", "Content-Type": TYPES[form]}

    def send(some: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for one in some:
            connection.request("POST", path, one, headers)
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status in (202, 204), told

    threads = [threading.Thread(target=send, args=(bodies[n::4],)) for n in range(4)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds.put(time.perf_counter() - began)


def main(records: int, batch: int, form: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "web.yml").write_text(
            f"bearer_tokens: {{plant: '{sha256(PUSH_TOKEN)}'}}\npermissions: {{plant: [push]}}\n"
        )
        bodies = [body(first, batch, form) for first in range(0, records, batch)]
        with Daemon(folder, MONITORS, http=f"web_config: {folder}/web.yml") as daemon:
            process = psutil.Process(daemon.process.pid)
            before = process.cpu_times()
            told: multiprocessing.Queue[float] = multiprocessing.Queue()
            client = multiprocessing.Process(target=push, args=(daemon.port, bodies, form, told))
            client.start()
            seconds = told.get(timeout=600)
            client.join()
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            ((kept,),) = daemon.query("SELECT count(*) FROM history")
            assert kept == records
            daemon.stop()
    print(
        f"{form}, batches of {batch}: {records / seconds:,.0f} records a second, "
        f"{used / seconds:.2f} cores used by the daemon, {1e6 * used / records:.0f} µs a record"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--format", default="jsonl", choices=list(TYPES))
    args = parser.parse_args()
    main(args.records, args.batch, args.format)
