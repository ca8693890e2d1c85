"""The port on real sockets: nobody holds it by sending slowly, much, or nothing at all."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from aemon.operations.status_report import Health
from aemon.web import connections, server
from aemon.web.app import build_app
from aemon.web.guard import Limits
from aemon.web.server import WebServer, listen
from tests.web_security import answer_of, ended_after

MOST = 5
LIMIT = 0.4  # seconds, of each kind
HEALTH = Health(started=True, alive=True, heartbeat_age_seconds=0)
ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LAST = ASK + b"Connection: close\r\n\r\n"


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", LIMIT)
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 2 * LIMIT)
    monkeypatch.setattr(server, "IDLE_SECONDS", 1)
    monkeypatch.setattr(server, "Gate", lambda: connections.Gate(MOST))
    registry = CollectorRegistry()
    large = Gauge("large", "much to read", ["number"], registry=registry)
    for number in range(20_000):
        large.labels(number)
    page = generate_latest(registry)  # on a busy machine writing it would take up the time limit
    listener = listen("127.0.0.1:0")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    app = build_app(lambda: None, lambda: HEALTH, lambda: page, limits=Limits(max_body=1_000_000))
    web = WebServer(listener, app)
    web.start()
    yield listener.getsockname()[1]
    web.stop()
    assert not web.threads[0].is_alive()
    assert not web._server._gate._open


def connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(sent)
    return connection


@contextmanager
def drip(connection: socket.socket, part: bytes, pause: float = LIMIT / 5):
    """Send a part again and again."""
    over = threading.Event()

    def send():
        while not over.wait(pause):
            try:
                connection.sendall(part)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET", ASK])
def test_a_head_that_does_not_come_to_an_end_is_not_waited_for(port, sent):
    with connect(port, sent) as connection, drip(connection, b"X-A: b\r\n" if sent else b""):
        assert LIMIT / 2 < ended_after(connection, 5) < 4 * LIMIT


def test_neither_is_the_head_of_a_second_request(port):
    with connect(port, ASK + b"\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        with drip(connection, b"G"):
            assert LIMIT / 2 < ended_after(connection, 5) < 4 * LIMIT


def test_neither_is_a_body(port):
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with connect(port, head) as connection, drip(connection, b"x"):
        heard = answer_of(connection, 5)
        assert heard.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in heard


def test_an_answer_that_nobody_reads_is_not_kept_for_ever(port):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(6 * LIMIT)
        heard = answer_of(connection, 5)
        assert heard.startswith(b"HTTP/1.1 200")
        assert not heard.endswith(b'large{number="19999"} 0.0\n')


def test_those_who_do_not_read_hold_one_page_in_memory_and_keep_nobody_out(monkeypatch):
    page = b"x" * 10_000_000
    monkeypatch.setattr(server, "Gate", lambda: connections.Gate(30))
    listener = listen("127.0.0.1:0")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    web = WebServer(listener, build_app(lambda: None, lambda: HEALTH, lambda: page))
    web.start()
    port = listener.getsockname()[1]
    before = psutil.Process().memory_info().rss
    with ExitStack() as stack:
        for _ in range(30):
            lazy = socket.socket()
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", port))
            lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            stack.enter_context(lazy)
        time.sleep(1)
        assert len(web._server._gate._open) == 30
        assert psutil.Process().memory_info().rss - before < 5 * len(page)
        newcomer = stack.enter_context(connect(port, LAST))
        assert answer_of(newcomer).startswith(b"HTTP/1.1 200")
    with connect(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as reader:
        assert answer_of(reader).endswith(b"\r\n\r\n" + page), "who reads has all of it"
    web.stop()


def test_an_answer_that_is_read_in_time_leaves_the_connection_in_use(port):
    with connect(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        heard = b""
        while not heard.endswith(b'large{number="19999"} 0.0\n'):
            heard += connection.recv(65536)
        time.sleep(1.2 * LIMIT)
        connection.sendall(LAST)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_who_is_idle_is_let_go(port):
    with connect(port, ASK + b"\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert 0.8 < ended_after(connection, 5) < 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (ASK + b"Content-Length: many\r\n\r\n", b"400 Bad Request"),
        (ASK + b"X: " + 20_000 * b"x", b"431 Request Header Fields Too Large"),
    ],
)
def test_what_is_no_http_is_answered_with_all_headers_and_ended(port, sent, status):
    with connect(port, sent) as connection:
        heard = answer_of(connection)
    assert heard.startswith(b"HTTP/1.1 " + status)
    assert b"x-frame-options: DENY" in heard


def test_a_body_that_breaks_off_in_rubbish_harms_nobody(port, caplog):
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(port, head + b"rubbish\r\n") as connection:
        answer_of(connection)
    with connect(port, LAST) as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
    assert not [one for one in caplog.records if one.levelname != "WARNING"]


def test_a_client_that_sends_too_much_hears_why(port):
    # Given one that sends all before it listens, and one that says beforehand how much it will be
    size = 1_500_000
    head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    with connect(port, head) as connection:
        connection.sendall(size * b"x")
        assert answer_of(connection).startswith(b"HTTP/1.1 413")
    head = b"GET /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with connect(port, head % 100_000_000) as connection:
        heard = answer_of(connection)
        assert heard.startswith(b"HTTP/1.1 413")
        assert b"(http.max_body)" in heard


def test_an_upgrade_is_not_made(port):
    more = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    with connect(port, ASK + more) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_who_waits_longest_makes_room_for_a_newcomer(port):
    # Given as many connections as there may be, all of which wait
    with ExitStack() as stack:
        held = [stack.enter_context(connect(port)) for _ in range(MOST)]
        time.sleep(LIMIT / 4)
        # When two more come
        for _ in range(2):
            with connect(port, LAST) as connection:
                assert answer_of(connection).startswith(b"HTTP/1.1 200")
        # Then only the two oldest at most had to go
        held[0].settimeout(LIMIT / 4)
        assert held[0].recv(1) == b""
        held[4].settimeout(0.01)
        with pytest.raises(TimeoutError):
            held[4].recv(1)


def test_the_server_stops_while_connections_wait_and_hang(port):
    with connect(port), connect(port, ASK):
        time.sleep(0.05)


def test_while_all_connections_are_being_answered_probes_are_and_others_hear_why_they_are_not(
    monkeypatch,
):
    """Many of whom come anew at once: until now the newest ended each other."""
    release, most, spare = threading.Event(), 20, 5
    monkeypatch.setattr(server, "Gate", lambda: connections.Gate(most, spare))
    listener = listen("127.0.0.1:0")
    web = WebServer(
        listener, build_app(lambda: None, lambda: HEALTH, lambda: release.wait(20) and b"x")
    )
    web.start()
    port = listener.getsockname()[1]
    slow = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        busy = [stack.enter_context(connect(port, slow)) for _ in range(most)]
        deadline = time.monotonic() + 10
        while len(web._server._gate._open) - len(web._server._gate._waiting) < most:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(10):
            refused = [stack.enter_context(connect(port, slow)) for _ in range(spare - 1)]
            with connect(port, LAST) as probe:
                assert answer_of(probe).startswith(b"HTTP/1.1 200")
            for one in refused:
                heard = answer_of(one, 5).lower()
                assert heard.startswith(b"http/1.1 503")
                assert b"connection: close" in heard
                assert b"retry-after" in heard
        release.set()
        assert all(one.recv(4096).startswith(b"HTTP/1.1 200") for one in busy)
    web.stop()
