"""From a fault in a source to a message in somebody's hands, through real servers.

The daemon, Prometheus with the rules that `aemon rules` wrote, Alertmanager, and a receiver of its
webhooks; and every panel of the dashboards, asked of that Prometheus.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aemon.testing.http_receiver import Receiver, receiving
from tests import readings
from tests.alertmanager import alertmanager
from tests.processes import Daemon, aemon, insert, make_table, sql_source
from tests.prometheus import Prometheus, prometheus

pytestmark = pytest.mark.acceptance
LEARNED = 300
DASHBOARDS = sorted((Path(__file__).resolve().parents[2] / "deploy/grafana/dashboards").glob("*"))
STAND_FOR = {
    "$__rate_interval": "10s", "$__interval": "5s", "$__range": "1m", "$monitor": "plant",
    "$instance": ".+",
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A plant that is watched, and whoever watches it."""

    daemon: Daemon
    database: Path
    prometheus: Prometheus
    phone: Receiver

    def rows(self, count: int, *, first: int, odd: bool = False) -> None:
        normal = readings.rows(count, first=first)
        insert(
            self.database,
            "readings",
            [(*((n, ts, 9.0, 2.2, 0.8) if odd else (n, ts, *row)), "p1") for n, ts, *row in normal],
        )

    def summary(self) -> list[tuple[str, str, str]]:
        """(status, alert, monitor) of what Alertmanager has told, in order."""
        return [
            (alert["status"], alert["labels"]["alertname"], alert["labels"].get("monitor", ""))
            for heard in self.phone.heard
            if "alerts" in heard.body
            for alert in heard.body["alerts"]
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    database = folder / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS, "pump TEXT"])
    monitors = (
        f"  plant:\n    source: {sql_source(database, entity='pump')}\n    score_every: 1s\n"
        f"    min_records: {LEARNED}\n    stale_after: 3650d\n    entity_metrics: 5\n"
        "    episodes: {gap: 3}\n    labels: {team: water}\n"
        "    detector: {steps: 60, members: 1}\n    threshold: {false_alarm_rate: 0.002}\n"
        f"  hourly:\n    source: {sql_source(database)}\n    score_every: 1h\n    min_records: 5000\n"
    )
    with receiving() as phone:
        site = Daemon(
            folder,
            monitors,
            settings=f"notify: {{ops: {{kind: webhook, url: '{phone.url}/ops'}}}}\n",
        )
        first = [(*row, "p1") for row in readings.rows(LEARNED)]
        insert(database, "readings", first)
        aemon("rules", "--episodes", "--output", "rules", cwd=folder)
        rules = folder / "rules/aemon.rules.yml"
        # promtool tells that the waiting times are right; here nobody waits for minutes.
        text = rules.read_text().replace("for: 2m", "for: 2s").replace("[5m]))", "[10s]))")
        text = text.replace("[2m]))", "[2s]))")
        rules.write_text(text)
        with (
            site as daemon,
            alertmanager(folder / "am", phone.url) as manager,
            prometheus(
                folder / "prometheus",
                [f"127.0.0.1:{daemon.port}"],
                rules=[rules],
                alertmanager=manager.url.removeprefix("http://"),
            ) as watching,
        ):
            daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "a detector")
            yield Site(daemon, database, watching, phone)


def test_a_fault_rings_a_phone_and_its_end_does_too(site):
    """And every panel has something to show; then the daemon dies, and that rings, too."""
    site.rows(40, first=LEARNED)
    site.prometheus.wait(
        lambda: (site.prometheus.value('aemon_records_scored_total{monitor="plant"}') or 0) >= 40,
        "the calm records to be seen",
    )
    # Prometheus takes its targets up after five seconds; until then the daemon is missed.
    site.prometheus.wait(lambda: site.prometheus.firing() == set(), "nothing to fire")
    site.rows(4, first=LEARNED + 40, odd=True)
    fires = ("firing", "AemonEpisode", "plant")
    site.prometheus.wait(lambda: fires in site.summary(), "the fault to be told")
    (alert,) = (
        one
        for heard in site.phone.heard
        for one in heard.body.get("alerts", ())
        if one["labels"].get("severity") == "critical" and one["status"] == "firing"
    )
    assert alert["labels"]["team"] == "water"
    number = alert["labels"]["episode"]
    assert alert["labels"]["entity"] == "p1"
    assert f"aemon episodes show {number};" in alert["annotations"]["runbook"]
    assert f"plant, p1: critical episode {number}, mostly " in alert["annotations"]["summary"]
    for path in DASHBOARDS:
        every_panel_has_data(site.prometheus, path)
    site.rows(20, first=LEARNED + 44)
    over = ("resolved", "AemonEpisode", "plant")
    site.prometheus.wait(lambda: over in site.summary(), "its end to be told")
    assert "hourly" not in {monitor for _, _, monitor in site.summary()}, "it is not late"
    site.phone.heard.clear()
    site.daemon.kill()
    absent = ("firing", "AemonAbsent", "")
    site.prometheus.wait(lambda: absent in site.summary(), "the daemon to be missed")


def every_panel_has_data(server: Prometheus, path: Path) -> None:
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel.get("targets", ()):
            if "expr" not in target:
                continue
            expression = target["expr"]
            for word, value in STAND_FOR.items():
                expression = expression.replace(word, value)
            assert "$" not in expression, (path.name, panel["title"])
            assert server.ask(expression), (path.name, panel["title"], expression)
        variables = json.loads(path.read_text())["templating"]["list"]
    for variable in variables:
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", str(variable.get("definition")))
        if asked:
            assert server.ask(f"count by ({asked[2]}) ({asked[1]})"), variable["name"]
