"""The dashboards and what Grafana is provisioned with; it cannot be run here, so they are read."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from aemon.metrics.catalogue import CATALOGUE

GRAFANA = Path(__file__).resolve().parents[2] / "deploy/grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


def panels(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["panels"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path):
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == path.stem
    assert board["schemaVersion"] >= 36
    assert "id" not in board, "Grafana gives it one"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    asked = next(v for v in board["templating"]["list"] if v["type"] == "datasource")
    for panel in board["panels"]:
        for part in (panel, *panel.get("targets", ())):
            if panel["type"] != "row":
                assert part["datasource"] == {
                    "type": asked["query"],
                    "uid": f"${{{asked['name']}}}",
                }


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_no_panel_lies_on_another(path):
    places = [panel["gridPos"] for panel in panels(path)]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


def test_panels_ask_for_metrics_that_there_are_and_for_nearly_all_of_them():
    names = {f"{m.name}_total" if m.kind == "counter" else m.name for m in CATALOGUE}
    text = "".join(path.read_text(encoding="utf-8") for path in BOARDS)
    asked = {name.removesuffix("_bucket") for name in re.findall(r"\baemon_[a-z_]+[a-z]", text)}
    assert asked - names == set()
    assert len(asked) > 0.6 * len(names)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_variable_that_is_used_is_one(path):
    text = path.read_text(encoding="utf-8")
    there = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", text))
    assert {name for name in used if not name.startswith("__")} <= there


def test_a_link_between_dashboards_takes_only_along_what_the_other_understands():
    """Grafana keeps what an address says of a variable, even where it is no choice."""
    boards = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in BOARDS}
    for name, board in boards.items():
        if not board["links"][0]["includeVars"]:
            continue
        for variable in board["templating"]["list"]:
            assert not variable["multi"], (name, "several values are no one's choice elsewhere")
            for other in boards.values():
                for known in other["templating"]["list"]:
                    if known["name"] == variable["name"] and known["type"] == "datasource":
                        assert known["query"] == variable["query"], name
    assert boards["aemon-monitor"]["links"][0]["includeVars"]


def test_data_sources_have_the_kinds_that_dashboards_want():
    told = yaml.safe_load((GRAFANA / "provisioning/datasources/aemon.yaml").read_text())
    there = {source["type"] for source in told["datasources"]}
    for path in BOARDS:
        variables = json.loads(path.read_text(encoding="utf-8"))["templating"]["list"]
        assert {v["query"] for v in variables if v["type"] == "datasource"} <= there
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/aemon.yaml").read_text())
    assert provider["providers"][0]["type"] == "file"
