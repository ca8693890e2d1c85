"""What the pages cost: the overview of many monitors, a year of scores, and clients that click.

    python tests/benchmarks/bench_pages.py [--monitors 1000] [--records 525600] [--clients 20]

The overview is made without HTTP: the status, its contents, and its HTML; the first one reads the
whole ledger. While clients click, a thread that wakes every 100 ms says how late it is, as a scoring
run would be.
"""

import argparse
import random
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from aemon.clock import utc_now
from aemon.config.schema import Config
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.operations.lists.series_views import SeriesWanted, score_series
from aemon.operations.status_report import DaemonState, Health, StatusPage, status_page
from aemon.operations.views.overview_view import overview_of
from aemon.operations.views.recent_exceedances import RecentExceedances
from aemon.store.engine import open_engine
from aemon.store.lists.ledger_sums import LedgerSums
from aemon.store.schema import revisions
from aemon.store.store import Store
from aemon.web.access import load_access
from aemon.web.app import guarded
from aemon.web.guard import Limits
from aemon.web.pages.page_desk import html
from aemon.web.served_routes import served_routes
from aemon.web.server import WebServer, listen
from tests.filled_stores import fill

SOURCE = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}
HEALTH = Health(started=True, alive=True, heartbeat_age_seconds=1.0)
TICK = 0.1  # seconds between two wake-ups of the thread that may be late
CLICK = 5.0  # seconds between two requests of a client
CLICKING_SECONDS = 25.0


def installed(path: Path, names: list[str]) -> Installation:
    store_url = f"sqlite:///{path}"
    engine = open_engine(store_url)
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(names)
    monitors = {name: {"source": SOURCE, "score_every": "5m"} for name in names}
    config = Config.model_validate({"store": store_url, "monitors": monitors})
    return Installation(config, store, utc_now, sums=LedgerSums())


def status_of(installation: Installation) -> StatusPage:
    state = DaemonState(
        started_at=utc_now(), replica="here", replicas=1, held=set(), wanted={}, health=HEALTH,
        config_refused="",
    )  # fmt: skip
    return status_page(installation, state)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())


def overview(installation: Installation) -> None:
    recent = RecentExceedances()

    def page(limit: int) -> bytes:
        view = overview_of(installation, status_of(installation), recent, limit=limit)
        shown = {"view": view, "search": "", "address": "/", "path": "/", "may_write": False}
        return bytes(html("overview.html", shown, small=True).body)

    print(f"  first {1000 * timed(lambda: page(200)):.0f} ms")
    for limit in (200, 100_000):
        times = sorted(timed(lambda limit=limit: page(limit)) for _ in range(9))
        body = len(page(limit))
        print(f"  up to {limit} rows: median {1000 * times[4]:.0f} ms, {body / 1000:.0f} kB")


def clicking(installation: Installation, clients: int) -> None:
    access = load_access(None)
    app = guarded(
        served_routes(lambda: installation, lambda: status_of(installation), None),
        lambda: access, limits=Limits(), refused=lambda _: None,
    )  # fmt: skip
    listener = listen("127.0.0.1:0")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = WebServer(listener, app)
    server.start()
    name = next(iter(installation.config.monitors))
    paths = ("/", "/", "/", f"/monitors/{name}", "/episodes", "/ledger", f"/monitors/{name}/lanes")
    over, late, took = threading.Event(), list[float](), list[float]()

    def wake() -> None:
        while not over.is_set():
            due = time.monotonic() + TICK
            time.sleep(TICK)
            late.append(time.monotonic() - due)

    def click(number: int) -> None:
        chance = random.Random(number)
        over.wait(number / clients * CLICK)
        while not over.is_set():
            path = address + chance.choice(paths)
            took.append(timed(partial(fetch, path)))
            over.wait(max(0.0, CLICK - took[-1]))

    waking = threading.Thread(target=wake)
    waking.start()
    time.sleep(CLICKING_SECONDS / 5)
    calm = sorted(late)
    del late[:]
    threads = [threading.Thread(target=click, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(CLICKING_SECONDS)
    over.set()
    for thread in [*threads, waking]:
        thread.join()
    server.stop()
    late.sort()
    took.sort()
    print(f"  {len(took)} requests: median {1000 * took[len(took) // 2]:.0f} ms")
    for words, values in (("without clients", calm), ("with clients", late)):
        high = values[int(0.99 * (len(values) - 1))]
        print(
            f"  late {words}: 99 % up to {1000 * high:.0f} ms, at most {1000 * values[-1]:.0f} ms"
        )


def year(installation: Installation, days: int) -> None:
    until = utc_now()
    wanted = SeriesWanted(
        monitor="pumps", since=until - timedelta(days=days), until=until, points=2000
    )
    times = sorted(timed(lambda: to_json(score_series(installation, wanted))) for _ in range(5))
    print(f"  {days} days: median {times[2]:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--monitors", type=int, default=1000)
    parser.add_argument("--records", type=int, default=525_600)
    parser.add_argument("--clients", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = [f"press-{number:04d}" for number in range(given.monitors)]
        many = installed(Path(folder) / "many.db", names)
        for number, name in enumerate(names):
            odd = (200, 201, 202) if number % 17 == 0 else ()
            fill(
                many.store, name, utc_now(), records=288, step=timedelta(minutes=5), anomalies=odd,
                entities=("a", "b"), seed=number, runs=48,
            )  # fmt: skip
        print(f"overview of {given.monitors} monitors, a day of scores and runs")
        overview(many)
        print(f"{given.clients} clients, each a page every {CLICK:g} s")
        clicking(many, given.clients)
        one = installed(Path(folder) / "one.db", ["pumps"])
        odd = tuple(range(1000, given.records - 1, 1000))
        fill(one.store, "pumps", utc_now(), records=given.records, anomalies=odd, runs=100)
        print(f"series of {given.records} one-minute records in 1000 buckets")
        for days in (1, 30, 366):
            year(one, days)


if __name__ == "__main__":
    main()
