"""A port under attack: whatever is sent to it, every record is judged in time, and once."""

import base64
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import psutil
import pytest

from aemon.web.connections import MOST
from tests import readings
from tests.neighbours import machine_is_busy
from tests.processes import Daemon, insert, make_table, sql_source
from tests.web_security import PASSWORD, PUSH_TOKEN, TOKEN, answer_of, bcrypted, sha256

pytestmark = pytest.mark.acceptance
LEARNED = 200
BAD_REQUESTS = 10_000
ATTACKERS = 20
SLOW = 300  # connections at once that never finish a request
BODY = 100_000_000
CALM_SECONDS = 4
PAUSE = 0.5  # seconds between two runs
HEALTH_SECONDS = 1.0
LATE_SECONDS = 1.0  # that a run may begin after its time
GROWTH = 60_000_000  # bytes of memory
LOGGED = 200_000  # bytes, of all that happened

WEB = f"""
basic_auth_users:
  alice: {bcrypted(PASSWORD, 10)}
bearer_tokens:
  prometheus: {sha256(TOKEN)}
  sensor: {sha256(PUSH_TOKEN)}
permissions:
  sensor: [push]
"""


def request(method: str, path: str, *more: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *more, "", "")).encode()


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def basic(user: str, password: str) -> str:
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Flood:
    """Attacks a port from threads until it is told to end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.codes: Counter[str] = Counter()
        self.over = threading.Event()
        self.bodies_taken = 0  # as a whole
        self.cut = 0  # slow connections that were ended

    def connect(self, seconds: float = 20) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def bad_requests(self, numbers: Iterator[int]) -> None:
        """Each on a connection of its own."""
        kinds = (
            lambda n: b"rubbish %d\r\n\r\n" % n,
            lambda n: request("GET", f"/{n}", bearer(TOKEN), "Connection: close"),
            lambda n: request("GET", "/metrics", basic("alice", f"guess {n}")),
            lambda n: request("GET", "/metrics", basic(f"user {n}", f"guess {n}")),
            lambda n: request("POST", "/metrics", bearer(TOKEN)),
            lambda _: request("GET", "/status.json"),
            lambda _: request("GET", "/" + 20_000 * "x", bearer(TOKEN), "Connection: close"),
        )
        for number in numbers:
            kind = kinds[number % len(kinds)]
            try:
                with self.connect() as connection:
                    with suppress(BrokenPipeError, ConnectionResetError):
                        connection.sendall(kind(number))
                    heard = answer_of(connection, 30)
                self.codes[heard[9:12].decode() or "ended"] += 1
            except ConnectionResetError:
                self.codes["ended"] += 1

    def bodies(self) -> None:
        """A hundred megabytes: announced, in chunks, and from nobody; what is answered is counted."""
        part = bytes(1_000_000)
        for more, chunked in (
            ((bearer(PUSH_TOKEN), f"Content-Length: {BODY}"), False),
            ((bearer(PUSH_TOKEN), "Transfer-Encoding: chunked"), True),
            ((f"Content-Length: {BODY}",), False),
            ((bearer(TOKEN), f"Content-Length: {BODY}"), False),
        ):
            with self.connect() as connection:
                sent = 0
                with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                    connection.sendall(request("POST", "/metrics", *more))
                    while sent < BODY:
                        connection.sendall(b"f4240\r\n%b\r\n" % part if chunked else part)
                        sent += len(part)
                heard = answer_of(connection)
                self.codes[f"body {heard[9:12].decode() or 'ended'}"] += 1
                self.bodies_taken += sent >= BODY

    def slow_ones(self) -> None:
        """As many connections as can be had, each of which sends a byte now and then."""
        held: list[socket.socket] = []
        over = False
        while not over:
            over = self.over.wait(1)  # one more round, to count those that are ended by then
            while len(held) < SLOW:
                connection = self.connect()
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
                held.append(connection)
            for connection in list(held):
                try:
                    connection.setblocking(False)
                    connection.send(b"x")
                except OSError:
                    held.remove(connection)
                    connection.close()
                    self.cut += 1
        for connection in held:
            connection.close()


class Probe(threading.Thread):
    """Asks for health, as an orchestrator does; and feeds the source meanwhile."""

    def __init__(self, daemon: Daemon, database) -> None:
        super().__init__()
        self.target, self.database = daemon, database
        self.waits: list[float] = []
        self.over = threading.Event()
        self.rows = readings.rows(1000, first=LEARNED)
        self.fed = 0

    def run(self) -> None:
        while not self.over.wait(0.25):
            began = time.monotonic()
            assert (self.target.get("/healthz") or "").startswith(("ok", "busy"))
            self.waits.append(time.monotonic() - began)
            insert(self.database, "readings", [next(self.rows)])
            self.fed += 1


def begun(daemon: Daemon) -> list[float]:
    rows = daemon.query("SELECT started_at FROM runs WHERE job = 'score' ORDER BY id")
    return [datetime.fromisoformat(f"{text}+00:00").timestamp() for (text,) in rows]


def latest(times: list[float], since: float, until: float) -> float:
    """Seconds that the latest run of a stretch began after its time."""
    inside = [time for time in times if since <= time <= until]
    assert len(inside) >= (until - since) / PAUSE * 0.6, "runs are missing"
    return max(later - earlier for earlier, later in itertools.pairwise(inside)) - PAUSE


def test_a_flood_leaves_scoring_untouched(tmp_path):
    busy = machine_is_busy()
    # Given a daemon that scores twice a second, and asks for credentials
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(LEARNED))
    (tmp_path / "web.yml").write_text(WEB)
    monitors = f"""
  pumps:
    source: {sql_source(database)}
    score_every: 500ms
    min_records: {LEARNED}
    detector: {{steps: 60, members: 1}}
"""
    with Daemon(tmp_path, monitors, http="web_config: web.yml") as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "a detector")
        probe = Probe(daemon, database)
        probe.start()
        time.sleep(1)
        calm_from = time.time()
        time.sleep(CALM_SECONDS)
        memory = psutil.Process(daemon.process.pid).memory_info().rss
        # When it is attacked in every way at once
        attacked = time.time()
        flood = Flood(daemon.port)
        slow = threading.Thread(target=flood.slow_ones)
        slow.start()
        with ThreadPoolExecutor(ATTACKERS + 1) as pool:
            numbers = iter(range(BAD_REQUESTS))
            work = [pool.submit(flood.bad_requests, numbers) for _ in range(ATTACKERS)]
            work.append(pool.submit(flood.bodies))
            for part in work:
                part.result()
        over = time.time()
        flood.over.set()
        slow.join()
        probe.over.set()
        probe.join()
        growth = psutil.Process(daemon.process.pid).memory_info().rss - memory
        daemon.wait(lambda: scored(daemon) == probe.fed, "every record to be judged", 20)
        daemon.stop()
    # Then every record was judged, once and in time, and no run came to grief
    times = begun(daemon)
    before, during = latest(times, calm_from, attacked), latest(times, attacked, over)
    print(
        f"{over - attacked:.0f} s of {dict(flood.codes)}, {flood.cut} slow connections cut; runs late "
        f"by {before:.3f} s before, {during:.3f} s meanwhile; health told within "
        f"{max(probe.waits):.3f} s; {growth / 1e6:.0f} MB more; {daemon.log.stat().st_size} bytes logged"
    )
    judged = daemon.query("SELECT count(*), count(DISTINCT record_key) FROM scores")
    assert judged == [(probe.fed, probe.fed)]
    outcomes = daemon.query("SELECT DISTINCT outcome FROM runs WHERE job = 'score'")
    late = {"skipped"} if busy else set()  # a run was still going when the next was due
    assert {outcome for (outcome,) in outcomes} <= {"ok", "no_data", "collecting", *late}
    assert during < before + LATE_SECONDS
    # And health was told, each was refused as it should be, and neither memory nor the log overflows
    assert max(probe.waits) < HEALTH_SECONDS
    assert flood.codes.keys() == {
        "400", "401", "403", "404", "429", "body 401", "body 403", "body 405", "body 413"
    }  # fmt: skip
    assert sum(count for code, count in flood.codes.items() if "body" not in code) == BAD_REQUESTS
    assert flood.bodies_taken == 0
    assert flood.cut >= SLOW - MOST
    assert growth < GROWTH
    assert daemon.log.stat().st_size < LOGGED


def scored(daemon: Daemon) -> int:
    return daemon.query("SELECT count(*) FROM scores")[0][0]
