"""Several daemons on one PostgreSQL store: monitors are shared, and change hands without loss."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.plants import LEARNED, ORPHANS, PostgresPlant
from tests.processes import Daemon, aemon

pytestmark = [pytest.mark.acceptance, pytest.mark.postgresql]
LEASE_SECONDS = 2.0
NAMES = ("compressor", "fan", "pump", "valve")
PIECE = 10  # records a write
WRITE_EVERY_SECONDS = 0.1
MONITORS = f"""
  {{name}}:
    source: {{source}}
    score_every: 500ms
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

    def start(self, name: str) -> Daemon:
        (self._folder / name).mkdir()
        settings = f"replicas: {{name: {name}, lease: {LEASE_SECONDS:g}s}}"
        daemon = Daemon(
            self._folder / name, monitors(self.plant.source), store=self.plant.store,
            settings=settings,
        )  # fmt: skip
        return self._stack.enter_context(daemon)

    def held(self) -> dict[str, set[str]]:
        """Replica -> what it watches."""
        found: dict[str, set[str]] = {}
        for holder, monitor in self.plant.ask("SELECT holder, monitor FROM leases"):
            found.setdefault(holder, set()).add(monitor)
        return found

    def until(self, done: Callable[[], bool], seconds: float = 60) -> float:
        """Wait; how many seconds it took."""
        began = time.monotonic()
        while not done():
            assert time.monotonic() - began < seconds, self.held()
            time.sleep(0.02)
        return time.monotonic() - began

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
def several(postgres_server, learned, tmp_path):
    with group(postgres_server, learned, tmp_path) as several:
        yield several


def test_monitors_are_shared_and_shared_anew_when_one_joins_and_one_leaves(several):
    one = several.start("one")
    assert several.held() == {"one": set(NAMES)}, "the first one begins with all at once"
    # When two others join, one after the other
    for names in (("one", "two"), ("one", "two", "three")):
        last = several.start(names[-1])
        seconds = several.until(lambda names=names: several.shared_by(*names))
        print(f"{len(names)} share alike {seconds:.1f} s after the last was ready")
    assert last.metric("aemon_replicas_live") == 3
    for name in NAMES:
        shown = [f'aemon_lease_held{{monitor="{name}"}} 1.0' in (last.get("/metrics") or "")]
        assert shown == [name in several.held()["three"]]
    several.goes_on()
    # When one ends in order, the others have its monitors within a second or two
    began = time.monotonic()
    assert one.stop() < 10
    several.until(lambda: several.shared_by("two", "three"))
    handed = time.monotonic() - began
    print(f"handed over {handed:.1f} s after SIGTERM")
    assert handed < 5
    several.goes_on()
    assert several.plant.ask("SELECT count(*) FROM runs WHERE outcome = 'failed'") == [(0,)]


def test_the_monitors_of_one_that_was_killed_are_taken_over_within_two_lease_times(several):
    one = several.start("one")
    several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    several.goes_on()
    # When one is killed in the middle of its work
    one.kill()
    seconds = several.until(lambda: several.held() == {"two": set(NAMES)})
    print(f"taken over {seconds:.1f} s after kill -9, with a lease of {LEASE_SECONDS:g} s")
    # Then the other has all of it within two lease times, and goes on
    assert seconds < 2 * LEASE_SECONDS
    several.goes_on()


def test_one_that_hung_and_comes_back_writes_nothing_of_what_it_had_in_hand(several):
    one = several.start("one")
    two = several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    several.goes_on()
    # Given one that stands still for longer than its lease
    one.process.send_signal(signal.SIGSTOP)
    seconds = several.until(lambda: several.held() == {"two": set(NAMES)})
    print(f"taken over {seconds:.1f} s after SIGSTOP, with a lease of {LEASE_SECONDS:g} s")
    assert seconds < 2 * LEASE_SECONDS
    several.goes_on()
    before = several.plant.ask("SELECT monitor, generation FROM watermarks ORDER BY monitor")
    assert before
    # When it comes back, it hears that they are another's, and then gets its share again
    one.process.send_signal(signal.SIGCONT)
    several.until(lambda: one.metric("aemon_leases_lost_total") >= 1)
    several.until(lambda: several.shared_by("one", "two"))
    assert two.metric("aemon_leases_lost_total") == 0
    several.goes_on()
