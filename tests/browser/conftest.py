"""A real browser before the pages of a small real run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from aemon.config.schema import Config
from aemon.daemon.once import score_monitors
from aemon.doctor.finding import ok, warning
from aemon.operations.installation import Installation
from aemon.operations.status_report import DaemonState, Health, status_page
from aemon.operations.training_by_hand import train_detector
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store
from aemon.testing.manual_clock import ManualClock
from aemon.web.access import WatchedAccess
from aemon.web.app import guarded, routes
from aemon.web.guard import Limits
from aemon.web.served_routes import served_routes
from aemon.web.server import WebServer, listen
from tests import readings
from tests.filled_stores import fill
from tests.lacking import lacking, needs_program
from tests.processes import insert, make_table
from tests.readings import LEARNED, START
from tests.web_security import PASSWORD, bcrypted

RECORDS = 400  # judged by the detector
NOW = START + timedelta(seconds=LEARNED + RECORDS)
MARKUP = '<img src=x onerror="alert(1)">'
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A served installation."""

    address: str
    store: Store
    episode: int


def _plant(folder: Path) -> Path:
    path = folder / "plant.db"
    make_table(path, "readings", ["ts TEXT", *readings.COLUMNS])
    rows = [list(row) for row in readings.rows(LEARNED + RECORDS)]
    for row in rows[LEARNED + 200 : LEARNED + 215]:  # a fault: the pressure does not fit the flow
        row[3] += 2.0
    insert(path, "readings", [tuple(row) for row in rows])
    return path


def _config(folder: Path) -> Config:
    def source(path: Path) -> dict[str, str]:
        return {
            "kind": "sql", "url": f"sqlite:///{path}", "table": "readings", "time": "ts",
            "key": "id",
        }  # fmt: skip

    pumps = {
        "source": source(_plant(folder)), "score_every": "1s", "min_records": LEARNED,
        "detector": {"kind": "linear", "members": 1}, "threshold": {"false_alarm_rate": 0.01},
    }  # fmt: skip
    fans = {"source": source(folder / "none.db"), "score_every": "1m"}
    return Config.model_validate(
        {"store": f"sqlite:///{folder}/aemon.db", "monitors": {"pumps": pumps, "fans": fans}}
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages of two monitors: one of a real run, and one with names that look like markup."""
    folder: Path = tmp_path_factory.mktemp("site")
    config, clock = _config(folder), ManualClock(NOW)
    engine = open_engine(config.store.get_secret_value())
    revisions.prepare(engine)
    store = Store(engine, clock)
    installation = Installation(config, store, clock)
    train_detector(installation, "pumps")
    score_monitors({"pumps": config.monitors["pumps"]}, store)
    store.add_monitors(["fans"])
    episode = fill(
        store, "fans", NOW, records=300, anomalies=(200, 201, 202, 280), entities=(MARKUP, "f2", "f3"),
        critical=True, step=timedelta(minutes=2), runs=8,
    )  # fmt: skip
    web = folder / "web.yml"
    web.write_text(
        f'basic_auth_users: {{ann: "{bcrypted(PASSWORD)}"}}\npermissions: {{ann: [read, feedback]}}\n'
    )
    web.chmod(0o600)
    health = Health(started=True, alive=True, heartbeat_age_seconds=1.0)
    state = DaemonState(
        started_at=NOW, replica="plant-a", replicas=1, held={"pumps", "fans"}, wanted={},
        health=health, config_refused="",
    )  # fmt: skip

    def status():
        return status_page(installation, state)

    def diagnose():
        yield ok("store", "it answers")
        yield warning("source", f"a table named {MARKUP}", "rename it")

    access = WatchedAccess(web)
    pages = [
        *routes(status, lambda: health, bytes),
        *served_routes(lambda: installation, status, diagnose),
    ]
    app = guarded(pages, lambda: access.now, limits=Limits(), refused=lambda _: None)
    listener = listen("127.0.0.1:0")
    server = WebServer(listener, app, access)
    server.start()
    yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", store, episode)
    server.stop()
    store.close()


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; while it runs, this thread has an event loop, so it ends in time."""
    path = needs_program("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright (pip install playwright)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


class Visit:
    """A tab that remembers what must not happen: errors, dialogs, requests to other hosts."""

    def __init__(self, browser, site: Site, **options) -> None:
        self.context = browser.new_context(
            http_credentials={"username": "ann", "password": PASSWORD},
            timezone_id="Europe/Berlin",
            **options,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self._site = site
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("dialog", self._opened)

    def open(self, path: str) -> None:
        self.page.goto(f"{self._site.address}{path}")

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((self._site.address, "data:")):
            self.wrong.append(f"request: {request.url}")

    def _opened(self, dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visit(chromium, site) -> Iterator:
    """Opens tabs, in which nothing may go wrong."""
    visits: list[Visit] = []

    def made(**options) -> Visit:
        visits.append(Visit(chromium, site, **options))
        return visits[-1]

    yield made
    for each in visits:
        each.context.close()
    assert [wrong for each in visits for wrong in each.wrong] == []
