"""A real Prometheus sends what it scrapes to a real daemon, which is killed meanwhile."""

import itertools
import json
import threading
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tests.processes import Daemon
from tests.prometheus import prometheus
from tests.web_security import PUSH_TOKEN, sha256

pytestmark = pytest.mark.acceptance
WEB = f"bearer_tokens: {{plant: '{sha256(PUSH_TOKEN)}'}}\npermissions: {{plant: [push, read]}}\n"
PUMPS = """
  pumps:
    source:
      kind: push
      entity: pump
      remote_write: {step: 100ms, wait: 3s, columns: {flow: flow, pressure: "pressure", up: up}}
    score_every: 1h
    min_records: 50000
"""
STEP = 100  # milliseconds; a tenth of the scrape interval, so that a record is one scrape
IN_FLIGHT_SECONDS = 10  # a second for a request, step and wait for a record, and a busy machine


@pytest.fixture
def exporter():
    """The address of an exporter of two pumps; no two scrapes have an equal value."""
    registry = CollectorRegistry()
    for name in ("flow", "pressure"):
        gauge = Gauge(name, name, ["pump"], registry=registry)
        for number in (1, 2):
            count = itertools.count(number + (0.5 if name == "flow" else 0))
            gauge.labels(f"p{number}").set_function(count.__next__)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def records(daemon, entity):
    query = f"SELECT event_time, record FROM history WHERE entity = '{entity}' ORDER BY id"
    return [(time, json.loads(record)) for time, record in daemon.query(query)]


def scrapes(sender, until):
    """The scrapes before a time, as Prometheus itself has them: (entity, milliseconds) -> values.

    A selector with a range gives the samples as they are, with their times.
    """
    found = {}
    for series in sender.ask('{__name__=~"flow|pressure|up"}[10m]'):
        name, entity = series["metric"]["__name__"], series["metric"].get("pump", "")
        for seconds, value in series["values"]:
            begin = round(seconds * 1000) // STEP * STEP
            if begin < until:
                found.setdefault((entity, begin), {})[name] = float(value)
    return found


def kept(daemon, until):
    """The records of the inbox before a time: (entity, milliseconds, values), in any order."""
    found = []
    for entity, time, record in daemon.query("SELECT entity, event_time, record FROM history"):
        begin = round(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000)
        if begin < until:
            found.append((entity, begin, json.loads(record)))
    return found


def test_each_scrape_that_prometheus_has_is_kept_exactly_once_over_a_crash(tmp_path, exporter):
    (tmp_path / "web.yml").write_text(WEB)
    settings = "replicas: {lease: 2s}"
    with Daemon(tmp_path, PUMPS, http="web_config: web.yml", settings=settings) as daemon:
        url = f"http://127.0.0.1:{daemon.port}/api/v1/write?monitor=pumps"
        remote = {"url": url, "authorization": {"credentials": PUSH_TOKEN}}
        more = {"remote_write": [remote | {"queue_config": {"batch_send_deadline": "1s"}}]}
        with prometheus(tmp_path / "prometheus", [exporter], more=more) as sender:
            daemon.wait(lambda: len(records(daemon, "p2")) > 2, "records", 40)
            daemon.kill()
            killed = datetime.now(UTC).timestamp() * 1000
            threading.Event().wait(2)  # scrapes that Prometheus must keep
            started = datetime.now(UTC).timestamp() * 1000
            daemon.start()
            enough = len(records(daemon, "p2")) + IN_FLIGHT_SECONDS + 2
            daemon.wait(lambda: len(records(daemon, "p2")) > enough, "more records", 60)
            until = round((datetime.now(UTC).timestamp() - IN_FLIGHT_SECONDS) * 1000)
            expected = scrapes(sender, until)
            daemon.wait(
                lambda: len({found[:2] for found in kept(daemon, until)}) >= len(expected),
                "every scrape",
                60,
            )
        found = kept(daemon, until)
        assert len(found) == len({(entity, begin) for entity, begin, _ in found}), "a double"
        assert {(entity, begin): record for entity, begin, record in found} == expected
        assert any(killed <= begin <= started for _, begin in expected), "no scrape was kept for it"
        assert daemon.query("SELECT count(*) FROM rejected_records")[0][0] == 0
        daemon.stop()
