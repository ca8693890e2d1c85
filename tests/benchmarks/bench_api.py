"""What answers of the API cost, over HTTP from the daemon's own web server, on SQLite.

    python tests/benchmarks/bench_api.py [--monitors 1000] [--ticks 144] [--records 525600]

`/monitors?limit=1000` of a day of ticks in the ledger, the first time and later; and `/series` of a
year of scores, a minute apart. Medians and worst cases.
"""

import argparse
import statistics
import tempfile
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.config.schema import Config
from aemon.operations.installation import Installation
from aemon.operations.status_report import Health
from aemon.store.engine import open_engine
from aemon.store.lists.ledger_sums import LedgerSums
from aemon.store.schema import revisions
from aemon.store.schema.tables import detectors, runs
from aemon.store.store import Store
from aemon.web.access import load_access
from aemon.web.api.application import api_routes
from aemon.web.api.desk import QUERY_SECONDS, Desk
from aemon.web.app import guarded, routes
from aemon.web.guard import Limits
from aemon.web.server import WebServer, listen
from tests.made_results import MadeResults, made_detector

TIMES = 7
COUNTS = ("records_read", "records_late", "records_rejected", "anomalies", "cells_imputed")
SOURCE = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}


def fill_ledger(store: Store, names: list[str], ticks: int) -> None:
    """Runs every ten minutes until now, of monitors with a detector."""
    for name in names:
        made_detector(store, name)
    with store.writing() as connection:
        connection.execute(sa.update(detectors).values(state_at=utc_now() - timedelta(days=2)))
    for tick in range(ticks):
        at = utc_now() - timedelta(minutes=10 * (ticks - tick))
        row = {
            "job": "score", "outcome": "ok", "reason": "", "started_at": at, "finished_at": at,
            "records_scored": 10, **dict.fromkeys(COUNTS, 0),
        }  # fmt: skip
        with store.writing() as connection:
            connection.execute(sa.insert(runs), [{**row, "monitor": name} for name in names])


def measure(url: str) -> str:
    """The first answer, and the median and the worst of later ones, in milliseconds.

    CPU is that of client and server together, which another load does not change much.
    """
    spent, cpu = [], []
    for _ in range(TIMES + 1):
        began, worked = time.perf_counter(), time.process_time()
        with urllib.request.urlopen(url, timeout=60) as answer:
            size = len(answer.read())
        spent.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - worked))
    first, later = spent[0], spent[1:]
    return (
        f"{first:6.0f} ms first, {statistics.median(later):6.0f} ms later, "
        f"{max(later):6.0f} ms worst, {statistics.median(cpu[1:]):6.0f} ms CPU, "
        f"{size / 1000:.0f} kB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=1000)
    parser.add_argument("--ticks", type=int, default=144)
    parser.add_argument("--records", type=int, default=525_600)
    chosen = parser.parse_args()
    names = [f"line-{number:04d}" for number in range(chosen.monitors)]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'aemon.db'}"
        engine = open_engine(url)
        revisions.prepare(engine)
        store = Store(engine, utc_now)
        monitors = {name: {"source": SOURCE, "score_every": "10m"} for name in [*names, "year"]}
        store.add_monitors(monitors)
        fill_ledger(store, names, chosen.ticks)
        year = MadeResults(
            monitor="year", records=chosen.records, flagged=range(0, chosen.records, 1000)
        )
        year.save(store)
        config = Config.model_validate({"store": url, "monitors": monitors})
        sums, limited = LedgerSums(), store.limited(QUERY_SECONDS)
        desk = Desk(
            lambda: Installation(config, limited, utc_now, sums=sums),
            lambda: None,  # type: ignore[arg-type, return-value]
        )
        health = Health(started=True, alive=True, heartbeat_age_seconds=1.0)
        access = load_access(None)
        pages = routes(lambda: None, lambda: health, bytes)  # type: ignore[arg-type, return-value]
        app = guarded(
            [*pages, *api_routes(desk)], lambda: access, limits=Limits(), refused=lambda _: None
        )
        listener = listen("127.0.0.1:0")
        root = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        server = WebServer(listener, app)
        server.start()
        print(f"{chosen.monitors} monitors, {chosen.monitors * chosen.ticks} ticks, "
              f"{chosen.records} scores")  # fmt: skip
        for name, path in (
            ("monitors", "/monitors?limit=1000"),
            ("first 100 of them", "/monitors"),
            ("runs", "/runs?limit=1000"),
            ("series, a year", f"/series/year?points=4000&from={year.time(0):%Y-%m-%d}"),
            ("series, a day", "/series/year?points=1000"),
        ):
            print(f"{name:18} {measure(root + path)}")
        server.stop()
        store.close()


if __name__ == "__main__":
    main()
