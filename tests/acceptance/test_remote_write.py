"""A real Prometheus sends what it scrapes to a real daemon, which is killed meanwhile."""

import json
import threading

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
      remote_write: {step: 1s, wait: 1s, columns: {flow: flow, pressure: "pressure", up: up}}
    score_every: 1h
    min_records: 50000
"""


@pytest.fixture
def exporter():
    """The address of an exporter of two pumps."""
    registry = CollectorRegistry()
    for name in ("flow", "pressure"):
        gauge = Gauge(name, name, ["pump"], registry=registry)
        for number in (1, 2):
            gauge.labels(f"p{number}").set(number + (0.5 if name == "flow" else 0))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def records(daemon, entity):
    query = f"SELECT event_time, record FROM history WHERE entity = '{entity}' ORDER BY id"
    return [(time, json.loads(record)) for time, record in daemon.query(query)]


def test_what_prometheus_scrapes_is_there_once_also_over_a_crash(tmp_path, exporter):
    (tmp_path / "web.yml").write_text(WEB)
    settings = "replicas: {lease: 2s}"
    with Daemon(tmp_path, PUMPS, http="web_config: web.yml", settings=settings) as daemon:
        url = f"http://127.0.0.1:{daemon.port}/api/v1/write?monitor=pumps"
        remote = {"url": url, "authorization": {"credentials": PUSH_TOKEN}}
        more = {"remote_write": [remote | {"queue_config": {"batch_send_deadline": "1s"}}]}
        with prometheus(tmp_path / "prometheus", [exporter], more=more) as sender:
            daemon.wait(lambda: len(records(daemon, "p2")) > 2, "records", 40)
            daemon.kill()
            threading.Event().wait(2)  # scrapes that Prometheus must keep
            daemon.start()
            before = len(records(daemon, "p2"))
            daemon.wait(lambda: len(records(daemon, "p2")) > before + 5, "more records", 60)
            scraped = sender.ask('count_over_time(flow{pump="p2"}[5m])')
            assert float(scraped[0]["value"][1]) >= 8
        found = records(daemon, "p2")
        assert all(record == {"flow": 2.5, "pressure": 2} for _, record in found)
        times = [time for time, _ in found]
        assert len(set(times)) == len(times)
        first, last = (json.dumps(str(time)) for time in (times[0], times[-1]))
        assert first < last
        assert len(times) >= 8
        assert daemon.query("SELECT count(*) FROM rejected_records")[0][0] == 0
        daemon.stop()
