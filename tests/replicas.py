"""Daemons that share a PostgreSQL store, and records that come in for them all the time.

A day of the records' own times comes in within seconds: no backlog asks for trainings here.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.plants import LEARNED, ORPHANS, PostgresPlant
from tests.processes import Daemon, aemon

LEASE_SECONDS = 2.0
NAMES = ("compressor", "fan", "pump", "valve")
PIECE = 10  # records a write
WRITE_EVERY_SECONDS = 0.2
MONITORS = f"""
  {{name}}:
    source: {{source}}
    score_every: 500ms
    train_every: 3650d
    min_records: {LEARNED}
    chunk_records: 50
    detector: {{{{steps: 60, members: 1}}}}
    threshold: {{{{false_alarm_rate: 0.01}}}}
    life: {{{{recalibrate: false, retrain_on_drift: false}}}}
"""


def monitors(source: str) -> str:
    return "".join(MONITORS.format(name=name, source=source) for name in NAMES)


@pytest.fixture(scope="module")
def learned(postgres_server, tmp_path_factory) -> Iterator[str]:
    """The name of a database in which every monitor has its detector, to be copied."""
    name = "learned_by_all"
    with closing(psycopg.connect(postgres_server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = postgres_server.rpartition("/")[0] + f"/{name}"
        plant = PostgresPlant(url)
        plant.add(LEARNED, first=0)
        config = tmp_path_factory.mktemp("learned") / "aemon.yaml"
        config.write_text(f"store: {url}\nmonitors:\n{monitors(plant.source)}")
        aemon("train", "-c", str(config))
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Stream(threading.Thread):
    """Records that come in all the time, for all monitors."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._over = threading.Event()
        self.total = LEARNED
        self.plant = PostgresPlant.__new__(PostgresPlant)  # its table is there already
        self.plant.store = self.plant._url = url
        self.plant.source = f"{{kind: sql, url: '{url}', table: readings, time: ts, key: id}}"

    def run(self) -> None:
        while not self._over.wait(WRITE_EVERY_SECONDS):
            self.plant.add(PIECE, first=self.total)
            self.total += PIECE

    def end(self) -> None:
        self._over.set()
        self.join()


class Group:
    """Daemons that share the store, under names of their own: nobody sees from them who is gone."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self.stream = Stream(url)
        self.plant = self.stream.plant
        self._folder = folder
        self._stack = stack

    def start(self, name: str, *, prefix: tuple[str, ...] = ()) -> Daemon:
        """Start one more; with a prefix, by another command."""
        daemon = self.add(name, prefix=prefix)
        return self._stack.enter_context(daemon)

    def add(self, name: str, *, prefix: tuple[str, ...] = ()) -> Daemon:
        """One more, not started yet."""
        (self._folder / name).mkdir()
        settings = f"replicas: {{name: {name}, lease: {LEASE_SECONDS:g}s}}"
        return Daemon(
            self._folder / name, monitors(self.plant.source), store=self.plant.store,
            settings=settings, prefix=prefix,
        )  # fmt: skip

    def held(self) -> dict[str, set[str]]:
        """Replica -> what it watches."""
        found: dict[str, set[str]] = {}
        for holder, monitor in self.plant.ask("SELECT holder, monitor FROM leases"):
            found.setdefault(holder, set()).add(monitor)
        return found

    def until(self, done: Callable[[], bool], seconds: float = 120) -> float:
        """Wait; how many seconds it took."""
        began = time.monotonic()
        while not done():
            assert time.monotonic() - began < seconds, self._stand()
            time.sleep(0.02)
        return time.monotonic() - began

    def _stand(self) -> str:
        marks = self.plant.ask("SELECT monitor, record_key FROM watermarks")
        return f"held: {self.held()}, read up to: {dict(marks)}, there: {self.stream.total}"

    def shared_by(self, *names: str) -> bool:
        held = self.held()
        sizes = [len(held.get(name, ())) for name in names]
        return sum(sizes) == len(NAMES) and max(sizes) - min(sizes) <= 1

    def judged(self, total: int) -> bool:
        """Whether every monitor has been read up to a record."""
        marks = self.plant.ask("SELECT record_key FROM watermarks")
        return len(marks) == len(NAMES) and all(int(key) >= total - 1 for (key,) in marks)

    def goes_on(self) -> float:
        """All that is there now is judged; seconds until it was."""
        total = self.stream.total
        return self.until(lambda: self.judged(total))


@contextmanager
def group(server: str, learned: str, folder: Path) -> Iterator[Group]:
    """A store of the test's own; at the end, nothing may be lost or doubled in it."""
    name = f"{learned}_{folder.name.replace('-', '_')}"[:60].lower()
    url = server.rpartition("/")[0] + f"/{name}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {learned} STRATEGY file_copy")
        with ExitStack() as stack:
            several = Group(url, folder, stack)
            several.stream.start()
            stack.callback(several.stream.end)
            yield several
            several.stream.end()
            several.goes_on()
            assert_whole(several)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def assert_whole(several: Group) -> None:
    """Every monitor has one verdict on every record, and the ledger counted them."""
    ask, total = several.plant.ask, several.stream.total
    for name in NAMES:
        keys = ask(f"SELECT record_key FROM scores WHERE monitor = '{name}'")
        assert sorted(int(key) for (key,) in keys) == list(range(LEARNED, total)), name
    assert ask("SELECT count(*) FROM scores WHERE revision > 1") == [(0,)]
    assert {what: ask(sql) for what, sql in ORPHANS.items()} == {what: [(0,)] for what in ORPHANS}
    coverage = ask("SELECT records_scored, records_unaccounted FROM coverage")
    assert {unaccounted for _, unaccounted in coverage} == {0}
    assert sum(scored for scored, _ in coverage) == len(NAMES) * (total - LEARNED)


@pytest.fixture
def several(postgres_server, learned, tmp_path) -> Iterator[Group]:
    with group(postgres_server, learned, tmp_path) as several:
        yield several
