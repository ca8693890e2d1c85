"""The answers for programs: status, metrics and health."""

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.testclient import TestClient

from aemon.errors import ConfigError, StoreError
from aemon.operations.status_report import Health, StatusPage
from aemon.web.app import build_app
from aemon.web.server import WebServer, listen
from tests.web.statuses import NOW, monitor, status_page_of


def client(monitors=(), flagged=(), health=None, status=None, **more) -> TestClient:
    def page() -> StatusPage:
        return status_page_of(monitors, flagged, **more)

    registry = CollectorRegistry()
    Counter("aemon_things", "things", registry=registry).inc()
    healthy = Health(started=True, alive=True, heartbeat_age_seconds=2)
    return TestClient(
        build_app(status or page, lambda: health or healthy, lambda: generate_latest(registry))
    )


def test_a_program_is_told_the_same():
    page = client([monitor("pumps", drifts=("odder",), on_trial=3, provisional=True)])
    (told,) = page.get("/status.json").json()["monitors"]
    assert (told["provisional"], told["drifts"], told["on_trial"]) == (True, ["odder"], 3)


def test_metrics_are_in_prometheus_form():
    answer = client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "aemon_things_total 1.0" in answer.text


@pytest.mark.parametrize(
    ("health", "healthz", "readyz"),
    [
        (Health(started=True, alive=True, heartbeat_age_seconds=1), 200, 200),
        (Health(started=True, alive=False, heartbeat_age_seconds=99), 503, 200),
        (Health(started=False, alive=False, heartbeat_age_seconds=None), 503, 503),
    ],
)
def test_health_and_readiness(health, healthz, readyz):
    asked = client(health=health)
    assert asked.get("/healthz").status_code == healthz
    assert asked.get("/readyz").status_code == readyz


def test_a_taken_address_is_a_config_error_that_says_what_to_do():
    taken = listen("127.0.0.1:0")
    port = taken.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{port}.*in use") as raised:
        listen(f"127.0.0.1:{port}")
    assert "http.listen" in raised.value.todo
    taken.close()


def test_the_server_serves_and_stops():
    import urllib.request

    listener = listen("127.0.0.1:0")
    port = listener.getsockname()[1]
    health = Health(started=True, alive=True, heartbeat_age_seconds=0)
    server = WebServer(listener, build_app(lambda: None, lambda: health, bytes))
    server.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert answer.read() == b"ok: scheduler heartbeat 0 s ago\n"
    server.stop()
    assert not server.threads[0].is_alive()


def test_a_program_is_told_the_same_as_the_page_shows():
    told = client([monitor("pumps")]).get("/status.json").json()
    assert told["aemon"] == "0.1.0"
    assert told["uptime_seconds"] == 86_400
    assert told["monitors"][0]["name"] == "pumps"
    assert told["monitors"][0]["held"] is False
    assert told["monitors"][0]["read_until"] == NOW.isoformat()


def test_a_store_that_is_away_is_told_to_a_program_too():
    def away() -> StatusPage:
        raise StoreError("the store is away")

    answer = client(status=away).get("/status.json")
    assert (answer.status_code, answer.text) == (503, "the store is away\n")


def test_a_busy_daemon_is_not_taken_for_a_dead_one():
    beat = {"started": True, "heartbeat_age_seconds": 2.0, "busy": "10 scoring runs in hand"}
    busy = client(health=Health(alive=True, **beat)).get("/healthz")
    dead = client(health=Health(alive=False, **beat)).get("/healthz")
    assert (busy.status_code, dead.status_code) == (200, 503)
    assert busy.text == "busy: 10 scoring runs in hand; scheduler heartbeat 2 s ago\n"
    assert dead.text == "dead: 10 scoring runs in hand; scheduler heartbeat 2 s ago\n"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("gzip;q=0.1", True), ("deflate, GZIP", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("br", False), ("", False), ("gzip;q=0, identity", False)],
)  # fmt: skip
def test_metrics_are_packed_for_those_who_take_it(accepted, packed):
    answer = client().get("/metrics", headers={"Accept-Encoding": accepted})
    assert ("content-encoding" in answer.headers) == packed
    assert "# HELP" in answer.text or answer.text == client().get("/metrics").text
