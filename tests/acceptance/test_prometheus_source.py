"""From a real exporter through a real Prometheus to a verdict: a fault there is flagged in time."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tests import readings
from tests.processes import Daemon, aemon, free_port
from tests.prometheus import prometheus
from tests.remote_write import write

pytestmark = pytest.mark.acceptance
HISTORY = 320  # records that are there before
DELAY, SCORE_EVERY = 2, 3  # seconds


@dataclass
class Exporter:
    """A pump whose readings are new for each scrape, until its pressure sticks at an odd value."""

    port: int = field(default_factory=free_port)
    faulty: bool = False

    def __post_init__(self) -> None:
        registry = CollectorRegistry()
        for place, name in enumerate(("flow", "pressure", "current")):
            gauge = Gauge(f"pump_{name}", name, ["pump"], registry=registry)
            gauge.labels("p1").set_function(lambda place=place: self.value(place))
        self.server, _ = start_http_server(self.port, "127.0.0.1", registry)

    def value(self, place: int) -> float:
        value = float(readings.values(1, first=int(time.time()))[0, place])
        return 9.0 if self.faulty and place == 1 else value


def stored(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def test_a_fault_of_an_exporter_is_flagged_within_two_scoring_intervals(tmp_path):
    exporter = Exporter()
    target = f"127.0.0.1:{exporter.port}"
    storage = {"storage": {"tsdb": {"out_of_order_time_window": "1h"}}}
    with prometheus(
        tmp_path / "prometheus", [target],
        options=["--web.enable-remote-write-receiver"], more=storage,
    ) as server:  # fmt: skip
        # Given an exporter that has been scraped for some time
        server.wait(lambda: server.value("count(pump_flow)") == 1, "the first scrape")
        first = int(server.ask("timestamp(pump_flow)")[0]["value"][0]) - HISTORY
        history = readings.values(HISTORY, first=first)
        for place, name in enumerate(("flow", "pressure", "current")):
            labels = {"__name__": f"pump_{name}", "pump": "p1", "job": "aemon", "instance": target}
            samples = [(first + number, value) for number, value in enumerate(history[:, place])]
            write(server.url, [(labels, samples)])
        monitors = f"""
  pumps:
    source:
      kind: prometheus
      url: {server.url}
      step: 1s
      delay: {DELAY}s
      history: 10m
      entity: pump
      queries: {{flow: pump_flow, pressure: pump_pressure, current: 'sum by (pump) (pump_current)'}}
    score_every: {SCORE_EVERY}s
    min_records: 300
    detector: {{steps: 60, members: 1}}
"""
        daemon = Daemon(tmp_path, monitors)
        told = aemon("check", "-c", str(daemon.config), cwd=tmp_path).stdout
        for word in (
            server.url,
            "by pump",
            "flow",
            "pressure",
            "current",
            "numeric",
            f"{datetime.now(UTC):%Y-%m-%d}",
        ):
            assert word in told, told
        with daemon:
            daemon.wait(
                lambda: bool(daemon.query("SELECT 1 FROM scores")), "the first verdicts", 150
            )
            # When its pressure sticks at an odd value
            exporter.faulty = True
            since = datetime.now(UTC)
            daemon.wait(
                lambda: any("pressure" in reason for (reason,) in flagged(daemon, since)),
                "the fault to be flagged",
            )
            # Then it is flagged by one of the two runs that could first see it
            daemon.stop()
    ((run, event_time, scored_at),) = daemon.query(
        "SELECT run_id, event_time, scored_at FROM scores WHERE verdict = 'anomaly' AND "
        "event_time >= ? ORDER BY scored_at LIMIT 1", f"{since:%Y-%m-%d %H:%M:%S.%f}",
    )  # fmt: skip
    runs = daemon.query("SELECT id, started_at FROM runs WHERE job = 'score' ORDER BY id")
    could = [one for one, began in runs if (stored(began) - since).total_seconds() > DELAY + 2]
    assert sum(one < run for one in could) < 2, (since, event_time, scored_at, runs)
    # And every step got one verdict, however often it was read
    (count, steps) = daemon.query(
        "SELECT count(*), count(DISTINCT event_time) FROM scores WHERE superseded_at IS NULL"
    )[0]
    assert count == steps


def flagged(daemon: Daemon, since: datetime) -> list[tuple[str]]:
    return daemon.query(
        "SELECT reason FROM anomalies WHERE event_time >= ?", f"{since:%Y-%m-%d %H:%M:%S.%f}"
    )
