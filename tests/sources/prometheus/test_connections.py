"""Credentials, certificates, and servers that answer badly or not at all."""

import contextlib
import gzip
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from pydantic import ValidationError

from aemon.errors import SourceConfigError, SourceError
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.source_kinds import open_replayable
from tests.remote_write import written_prometheus
from tests.sources.prometheus.conftest import EPOCH
from tests.web_security import Keys, bcrypted

SECRET = "hunter2-and-more"
NOW = EPOCH.timestamp()
GOOD = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[NOW, "1"], [NOW + 60, "2"]]}],
    },
}


class Scripted:
    """A server that says what a test wants, and remembers what it was asked."""

    def __init__(self) -> None:
        scripted = self
        self.asked: list[tuple[str, dict, dict]] = []
        self.replies: list[tuple[int, dict, bytes]] = []
        self.date = True

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                form = parse_qs(self.rfile.read(length).decode() or urlsplit(self.path).query)
                scripted.asked.append((self.path, form, dict(self.headers)))
                looks = "group((" in form["query"][0]
                if form["query"] == ["1"] or looks:
                    status, headers, body = 200, {}, json.dumps(GOOD).encode()
                else:
                    status, headers, body = (
                        scripted.replies.pop(0) if scripted.replies else said(GOOD)
                    )
                self.send_response_only(status)
                if scripted.date:
                    self.send_header("Date", self.date_time_string())
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)
                if "X-Cut" in headers:
                    self.close_connection = True

            do_GET = do_POST  # noqa: N815 -- its name

            def log_message(self, *args) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.http.handle_error = lambda *_: None  # a client that closes is what tests are about
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def said(document, status: int = 200, **headers: str):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


@pytest.fixture
def scripted():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def opened():
    """A function that opens a source of one query."""
    sources = []

    def opened(url: str, **settings):
        given = {"queries": {"m": "m"}, "step": "1m", "history": "1h", **settings}
        source = open_replayable(
            PrometheusSource(url=url, **given), clock=lambda: EPOCH.replace(minute=5)
        )
        sources.append(source)
        return source

    yield opened
    for source in sources:
        source.close()


def error(source) -> SourceError | SourceConfigError:
    with pytest.raises((SourceError, SourceConfigError)) as caught:
        source.fetch(None, 10)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    return caught.value


def test_credentials_tenants_and_a_path_are_sent_along(scripted, opened):
    source = opened(
        f"{scripted.url}/prometheus/", bearer_token=SECRET, headers={"X-Scope-OrgID": "plant"}
    )
    assert len(source.fetch(None, 10).table) == 2
    path, form, headers = scripted.asked[-1]
    assert path == "/prometheus/api/v1/query_range"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["X-Scope-OrgID"] == "plant"
    assert form["step"] == ["60"]
    assert int(form["start"][0]) % 60 == 0
    assert form["partial_response"] == ["false"]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (said(b"", 401), SourceConfigError, "HTTP 401: the credentials are refused"),
        (said({"status": "error", "error": f"no {SECRET}"}, 403), SourceConfigError, "no ***"),
        (said(b"", 302, Location=f"http://other.example/x?t={SECRET}"), SourceConfigError, "other.example/x"),
        (said(b"<html>", 200), SourceConfigError, "there is no Prometheus API"),
        (said(b"not found", 404), SourceConfigError, "HTTP 404: there is no Prometheus API"),
        (said({"status": "success", "data": []}), SourceConfigError, "no Prometheus API"),
        (said({"status": "error", "error": "bad: parse error"}, 400), SourceConfigError, "query m: the query fails: bad"),
        (said({"status": "error", "error": "query timed out"}, 503), SourceError, "HTTP 503: query timed out"),
        (said(b"busy", 429), SourceError, "query m: HTTP 429"),
        (said(b"bad gateway", 502), SourceError, "HTTP 502"),
        (said({**GOOD, "isPartial": True}), SourceError, "some of the servers did not answer"),
        (said({"status": "success", "data": {"result": [{"metric": {}, "values": [["x"]]}]}}), SourceError, "not in the form of Prometheus"),
        (said({"status": "success", "data": {"result": [7]}}), SourceError, "not in the form of Prometheus"),
        (said({"status": "success", "data": {"result": [{"metric": {}, "histograms": []}]}}), SourceConfigError, "returns histograms"),
        (said(b"[" * 100_000), SourceConfigError, "no Prometheus API"),
        (said(b"nonsense", 200, Content_Encoding="gzip"), SourceError, "not gzip"),
        (said(b"short", 200, Content_Length="100", X_Cut="1"), SourceError, "is incomplete"),
    ],
)  # fmt: skip
def test_bad_answers_are_told_in_plain_words(scripted, opened, reply, kind, words):
    scripted.replies = [reply] * 5
    told = error(opened(scripted.url, bearer_token=SECRET))
    assert type(told) is kind
    assert words in told.message
    assert scripted.url in told.message or "query m" in told.message


def test_packed_answers_are_read_and_huge_ones_are_not(scripted, opened, monkeypatch):
    packed = gzip.compress(json.dumps(GOOD).encode())
    scripted.replies = [said(packed, Content_Encoding="gzip")]
    source = opened(scripted.url)
    assert len(source.fetch(None, 10).table) == 2
    monkeypatch.setattr("aemon.sources.prometheus.connections.MOST_ANSWER", 1000)
    bomb = gzip.compress(json.dumps(GOOD).encode() + b" " * 10_000_000)
    scripted.replies = [said(bomb, Content_Encoding="gzip")] * 100
    assert "the answer is larger than aemon reads at once" in error(source).message


def test_warnings_are_told_without_secrets(scripted, opened):
    scripted.replies = [said({**GOOD, "warnings": [f"store down, token {SECRET}"]})]
    warnings = opened(scripted.url, bearer_token=SECRET).fetch(None, 10).warnings
    assert "query m: the server warns: store down, token ***" in warnings


def test_partial_answers_are_taken_where_wanted(scripted, opened):
    scripted.replies = [said({**GOOD, "isPartial": True})]
    assert len(opened(scripted.url, partial=True).fetch(None, 10).table) == 2
    assert "partial_response" not in scripted.asked[-1][1]


def test_where_nobody_may_post_it_gets(scripted, opened):
    scripted.replies = [said(b"", 405)]
    assert len(opened(scripted.url).fetch(None, 10).table) == 2
    assert scripted.asked[-1][0].startswith("/api/v1/query_range?query=m&")


def test_a_server_without_a_clock_is_refused(scripted, opened):
    scripted.date = False
    assert "does not give the time" in error(opened(scripted.url)).message


def test_a_connection_that_the_server_closed_is_made_anew(scripted, opened):
    source = opened(scripted.url)
    scripted.replies = [said(GOOD, X_Cut="1")] * 3
    for _ in range(3):
        assert len(source.fetch(None, 10).table) == 2


@contextlib.contextmanager
def hanging(say: bytes = b""):
    """A server that takes requests, says something slowly, and never comes to an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def hold() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.sendall(say)
                    for _ in range(100 if say else 0):
                        time.sleep(0.1)
                        connection.sendall(b" ")

        threading.Thread(target=hold, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for connection in held:
                connection.close()


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_server_that_hangs_or_trickles_is_waited_for_no_longer_than_the_timeout(opened, say):
    with hanging(say) as url:
        began = time.monotonic()
        assert "no answer within 0.5 s" in error(opened(url, timeout="500ms")).message
        assert time.monotonic() - began < 8


def test_closing_ends_the_wait_for_a_server_that_hangs(opened):
    with hanging() as url:
        source = opened(url, timeout="1h")
        threading.Timer(0.5, source.close).start()
        began = time.monotonic()
        error(source)
        assert time.monotonic() - began < 20


def test_a_server_that_is_not_there_is_told(opened):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = error(opened(url, basic_auth={"username": "aemon", "password": SECRET}))
    assert told.message == f"Prometheus at {url}: the time: Connection refused"


def test_a_real_server_asks_for_a_password_and_certificates(tmp_path, opened):
    keys = Keys.make(tmp_path)
    keys.issue("server", "127.0.0.1")
    keys.issue("client", "aemon.example")
    web = tmp_path / "web.yml"
    tls = {
        "cert_file": str(tmp_path / "server.crt"),
        "key_file": str(tmp_path / "server.key"),
        "client_ca_file": str(tmp_path / "ca.crt"),
        "client_auth_type": "VerifyClientCertIfGiven",
    }
    web.write_text(
        yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"aemon": bcrypted(SECRET)}})
    )
    pair = {"cert_file": tmp_path / "client.crt", "key_file": tmp_path / "client.key"}
    auth = {"basic_auth": {"username": "aemon", "password": SECRET}}
    trust = {"ca_file": tmp_path / "ca.crt"}
    with written_prometheus(
        tmp_path / "data", options=[f"--web.config.file={web}"], tls=True
    ) as server:
        assert len(opened(server.url, **auth, **trust, **pair).fetch(None, 10).table) == 0
        unsafe = opened(server.url, **auth, insecure_skip_verify=True)
        fetched = unsafe.fetch(None, 10)
        assert len(fetched.table) == 0
        assert "certificate is not verified" in " ".join(fetched.warnings)
        assert "whose certificate is not verified" in unsafe.describe()
        assert "certificate is not trusted" in error(opened(server.url, **auth)).message
        wrong = {"basic_auth": {"username": "aemon", "password": f"{SECRET}x"}}
        assert "the credentials are refused" in error(opened(server.url, **wrong, **trust)).message
        assert "No such file" in error(opened(server.url, ca_file=tmp_path / "not there")).message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://x"}, "is not a web address"),
        ({"url": f"http://aemon:{SECRET}@x"}, "has a user or a password in it"),
        ({"url": "http://x?y=1"}, "without ? or #"),
        ({"step": "500ms"}, "whole seconds"),
        ({"step": "1500ms"}, "whole seconds"),
        ({"queries": {}}, "at least 1 item"),
        ({"queries": {"m": " "}}, "needs a name and a text"),
        ({"queries": {"m": "m", "n": "n"}, "columns": "x"}, "needs exactly one query"),
        ({"entity": "x", "columns": "x"}, "is already the label of the entity"),
        ({"entity": "a-b"}, "must be the name of a label"),
        ({"headers": {"Authorization": SECRET}}, "is not allowed as a header"),
        ({"headers": {"X-A": f"{SECRET}\r\nX-B: 1"}}, "control character"),
        ({"bearer_token": f"{SECRET}\n"}, "control character"),
        (
            {"bearer_token": SECRET, "basic_auth": {"username": "a", "password": "b"}},
            "or basic_auth",
        ),
        ({"cert_file": "x"}, "needs key_file too"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, words):
    with pytest.raises(ValidationError) as refused:
        PrometheusSource.model_validate({"url": "http://x", "queries": {"m": "m"}, **settings})
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


def test_secrets_are_in_no_text_of_the_settings():
    settings = PrometheusSource(
        url="http://x/api/v1", queries={"m": "m"}, bearer_token=SECRET, headers={"X-A": SECRET}
    )
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    assert settings.url == "http://x"
