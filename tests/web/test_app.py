"""The pages: what the daemon knows, safely shown."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.testclient import TestClient

from aemon.errors import ConfigError, StoreError
from aemon.operations.status_report import Health, MonitorStatus, StatusPage
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.queries import BlamedColumn, Flagged, FlaggedRecord, LastRun
from aemon.web.app import build_app
from aemon.web.server import WebServer, listen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(outcome="ok", reason="", records=0) -> LastRun:
    return LastRun(outcome=outcome, reason=reason, finished_at=NOW, records_read=records)


def monitor(name: str, **changes) -> MonitorStatus:
    known = {
        "name": name,
        "detector_version": 2,
        "trained_at": NOW - timedelta(hours=3),
        "first_trained_at": NOW - timedelta(days=3),
        "training_records": 640,
        "threshold": 2.5,
        "false_alarm_rate": 0.001,
        "calibration_records": 640,
        "on_trial": None,
        "drifts": (),
        "episodes_open": 0,
        "realised": Flagged(judged=2000, flagged=5),
        "read_until": NOW,
        "records_scored": 1234,
        "anomalies": 5,
        "last_score": run(),
        "last_train": run(),
    }
    return MonitorStatus(**{**known, **changes})


FLAGGED = FlaggedRecord(
    monitor="pumps",
    entity="<script>alert(1)</script>",
    record_key="17",
    event_time=NOW,
    scored_at=NOW,
    severity="critical",
    score=9.0,
    exceedance=3.6,
    p_value=0.0001,
    reason="pressure 2.1 where 4 was expected",
    detector_version=2,
    threshold=2.5,
    observed={},
    reconstructed={},
    columns=(
        BlamedColumn(rank=1, column="pressure", observed="2.1", expected="4", error=9, share=1),
    ),
)


EPISODE = EpisodeSummary(
    id=41,
    monitor="pumps",
    entity="p2",
    state="open",
    severity="critical",
    started_at=NOW - timedelta(hours=1),
    ended_at=NOW,
    opened_at=NOW - timedelta(hours=1),
    acknowledged_at=None,
    records=12,
    peak_exceedance=5.2,
    peak_record_key="17",
    feature="temperature",
    blame={"temperature": 12.0},
    label="",
    note="",
    like_id=7,
    like_label="stuck sensor",
    likeness=0.97,
)


def client(monitors=(), flagged=(), health=None, status=None, **more) -> TestClient:
    def page() -> StatusPage:
        return StatusPage(
            version="0.1.0",
            now=NOW,
            started_at=NOW - timedelta(days=1),
            wanted={entry.name: 1000 for entry in monitors},
            sources={entry.name: "sql" for entry in monitors},
            monitors=monitors,
            flagged=flagged,
            **more,
        )

    registry = CollectorRegistry()
    Counter("aemon_things", "things", registry=registry).inc()
    healthy = Health(started=True, alive=True, heartbeat_age_seconds=2)
    return TestClient(
        build_app(status or page, lambda: health or healthy, lambda: generate_latest(registry))
    )


def test_the_status_page_shows_where_every_monitor_stands():
    collecting = monitor(
        "fans",
        detector_version=None,
        last_score=run("collecting", "collecting 312 of 1000 records", 312),
    )
    failed = monitor(
        "belts", detector_version=None, last_score=run("failed", "column 'speed' is missing")
    )
    page = client([monitor("pumps"), collecting, failed]).get("/")
    assert page.status_code == 200
    assert "312 of 1000" in page.text
    assert "0 of 1000" not in page.text
    assert "failing" in page.text
    assert "column &#39;speed&#39; is missing" in page.text
    assert "trained 3 h ago on 640 records" in page.text
    assert "None in the last day" in page.text


def test_the_promised_and_the_realised_rate_stand_side_by_side():
    fresh = monitor("fans", realised=Flagged())
    page = client([monitor("pumps"), fresh]).get("/").text
    assert "0.1 % of normal records<br>\n0.25 % of all 2000\n" in page
    assert "none judged yet" in page


def test_a_promise_that_is_broken_by_far_stands_out():
    storm = monitor("pumps", realised=Flagged(judged=19_802, flagged=17_927))
    page = client([storm]).get("/").text
    assert '<span class="failed">91 % of all 19802<br>' in page
    assert "far above the target" in page
    fine = monitor("pumps", realised=Flagged(judged=19_802, flagged=60))
    assert "far above the target" not in client([fine]).get("/").text


def test_what_a_person_should_know_of_a_monitor_stands_beside_its_state():
    # Given a provisional detector with another on trial, a drift and an open episode, and a calm one
    pumps = monitor(
        "pumps",
        on_trial=3,
        drifts=("flow is spread otherwise than in the records learned from",),
        traffic=("p3 is silent <b>",),
        episodes_open=1,
        provisional=True,
    )
    page = client([pumps, monitor("fans")], episodes=[EPISODE]).get("/").text
    # Then the one says so, once, and the other nothing of it
    assert page.count("provisional") == page.count("on trial") == page.count(">drift<") == 1
    assert "flow is spread otherwise" in page
    assert "1 episode open" in page
    assert "p3 is silent &lt;b&gt;" in page
    assert "like episode 7, labelled stuck sensor" in page
    calm = client([monitor("fans")]).get("/").text
    assert not any(word in calm for word in ("provisional", "on trial", "drift", "pisode"))


def test_a_program_is_told_the_same():
    page = client([monitor("pumps", drifts=("odder",), on_trial=3, provisional=True)])
    (told,) = page.get("/status.json").json()["monitors"]
    assert (told["provisional"], told["drifts"], told["on_trial"]) == (True, ["odder"], 3)


def test_what_records_say_is_text_and_never_markup():
    page = client([monitor("pumps")], [FLAGGED]).get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "pressure 2.1 where 4 was expected" in page


def test_the_page_needs_nothing_from_elsewhere_and_may_run_nothing():
    answer = client().get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_a_store_that_is_gone_is_said_so():
    def gone():
        raise StoreError("the store failed: disk full")

    answer = client(status=gone).get("/")
    assert answer.status_code == 503
    assert "disk full" in answer.text


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
