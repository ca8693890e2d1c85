"""A package of somebody else brings a kind of source."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = '''
"""The settings of a counter."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from aemon.config.source_settings import SourceSettings


class ToySource(SourceSettings):
    """Numbers in a list."""

    opened_by: ClassVar[str] = "toy_plant.source:open_toy"
    where_not_what: ClassVar[frozenset[str]] = frozenset({"password"})

    kind: Literal["toy"] = "toy"
    records: int = Field(3, ge=0, description="how many there are")
    password: SecretStr | None = Field(None, description="asked for by nobody")
'''

SOURCE = '''
"""A source of numbers."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.source import Fetched

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def open_toy(settings, clock):
    source = Toy()
    source.seconds = list(range(settings.records))
    return source


class Toy:
    roles = Roles(time="at", key="id")
    in_order_of_arrival = True

    def __init__(self):
        self.seconds = []

    def describe(self):
        return "a list"

    def close(self):
        pass

    def hides(self, mark):
        return False

    def recognises(self, mark):
        return mark.position is not None and "place" in mark.position

    def count(self, limit):
        return min(limit, len(self.seconds))

    def fetch(self, after, limit):
        first = 0 if after is None else after.position["place"] + 1
        return self._read(first, min(first + limit, len(self.seconds)), after)

    def newest(self, until, limit):
        end = len(self.seconds) if until is None else until.position["place"] + 1
        return self._read(max(0, end - limit), end, until)

    def _read(self, first, end, mark):
        places = list(range(first, end))
        times = [EPOCH + timedelta(seconds=self.seconds[place]) for place in places]
        table = pd.DataFrame(
            {
                "at": pd.to_datetime(times, utc=True),
                "id": [str(place) for place in places],
                "flow": [float(self.seconds[place]) for place in places],
            }
        )
        if places:
            mark = Watermark(
                event_time=times[-1], record_key=str(places[-1]), position={"place": places[-1]}
            )
        return Fetched(table=table, watermark=mark, more=end < len(self.seconds))
'''

SUITE = """
from aemon.testing.replayable_contract import ReplayableContract
from aemon.testing.source_worlds import World
from toy_plant.source import Toy


class ToyWorld(World):
    def __init__(self, folder):
        self.source = Toy()

    def add(self, seconds):
        first = len(self.source.seconds)
        self.source.seconds += seconds
        return [str(place) for place in range(first, len(self.source.seconds))]


class TestToy(ReplayableContract): make_world = ToyWorld
"""

CONFIG = """
monitors:
  numbers:
    source: {kind: toy, records: 4}
    score_every: 1m
"""


@pytest.fixture
def site(tmp_path):
    """A folder with an installed package."""
    package = tmp_path / "site" / "toy_plant"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS)
    (package / "source.py").write_text(SOURCE)
    installed = tmp_path / "site" / "toy_plant-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-plant\nVersion: 1.0\n")
    entry_points(tmp_path / "site", toy="toy_plant.settings:ToySource")
    return tmp_path / "site"


def entry_points(site: Path, **kinds: str) -> None:
    lines = [f"{kind} = {place}" for kind, place in kinds.items()]
    text = "\n".join(["[aemon.sources]", *lines, ""])
    (site / "toy_plant-1.0.dist-info" / "entry_points.txt").write_text(text)


def python(site: Path, *arguments: str, code: int = 0) -> str:
    root = str(Path(__file__).resolve().parent.parent.parent)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), root]), "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site.parent, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def aemon(site: Path, *arguments: str, code: int = 0) -> str:
    return python(site, "-m", "aemon", *arguments, code=code)


def test_its_kind_is_checked_and_listed(site):
    (site.parent / "aemon.yaml").write_text(CONFIG)
    told = aemon(site, "check")
    assert "a list" in told
    assert "4 of 200 records so far" in told
    listed = {one["kind"]: one for one in json.loads(aemon(site, "sources", "--json"))}
    assert listed["toy"]["package"] == "toy-plant"
    assert listed["toy"]["summary"] == "Numbers in a list."
    keys = {key["key"]: key["default"] for key in listed["toy"]["keys"]}
    assert keys == {"records": 3, "password": None}
    assert "toy (package toy-plant)" in aemon(site, "sources", "toy")
    assert "ToySource" in json.loads(aemon(site, "config", "schema"))["$defs"]


def test_its_mistakes_are_told_with_line_and_key(site):
    (site.parent / "aemon.yaml").write_text(CONFIG.replace("records: 4", "recods: 4"))
    told = aemon(site, "check", code=3)
    assert (
        "aemon.yaml:4: monitors.numbers.source.recods: unknown key; did you mean records?" in told
    )
    (site.parent / "aemon.yaml").write_text(CONFIG.replace("kind: toy", "kind: toi"))
    told = aemon(site, "check", code=3)
    assert (
        "source.kind: must be one of sql, csv, parquet, host, prometheus, mqtt, kafka, opcua, push, "
        in told
    )
    assert "toy; did you mean toy?" in told


def test_it_passes_the_suite_with_one_line(site):
    (site.parent / "test_toy.py").write_text(SUITE)
    told = python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_toy.py")
    assert "passed" in told
    assert "skipped" not in told


def test_one_that_cannot_be_used_says_why_and_hinders_nothing_else(site):
    entry_points(site, broken="not_there:X", sql="toy_plant.settings:ToySource", odd="json:dumps")
    (site.parent / "aemon.yaml").write_text(CONFIG.replace("kind: toy", "kind: broken"))
    told = aemon(site, "check", code=3)
    assert "monitors.numbers.source.kind: the source kind broken of the package toy-plant" in told
    assert "No module named not_there" in told
    listed = [one for one in json.loads(aemon(site, "sources", "--json")) if one["package"]]
    problems = {one["kind"]: one["problem"] for one in listed}
    assert "No module named" in problems["broken"]
    assert "is not a subclass of" in problems["odd"]
    assert "choose another name" in problems["sql"]
    assert "ToySource" not in aemon(site, "config", "schema")


def test_nothing_of_it_is_loaded_where_no_monitor_asks_for_it(site):
    (site.parent / "aemon.yaml").write_text(CONFIG.replace("toy, records: 4", "host"))
    code = (
        "import sys; from pathlib import Path; from aemon.config.loading import load_config;"
        "load_config(Path('aemon.yaml'));"
        "print([m for m in sys.modules if m.startswith(('toy_plant', 'aemon.sources.csv'))])"
    )
    assert python(site, "-c", code).strip() == "[]"
