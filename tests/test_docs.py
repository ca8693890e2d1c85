"""The README says what is so: its configuration loads, its commands and tables exist."""

import re
from pathlib import Path

import pytest
import yaml

from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.config.source_registry import usable_kinds
from aemon.records import Quiet
from aemon.store.schema.tables import metadata
from aemon.store.schema.views import VIEWS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    page.stem: page.read_text(encoding="utf-8")
    for page in sorted((ROOT / "aemon" / "docs").glob("*.md"))
}
TEXT = "\n".join([README, *PAGES.values()])


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_it_starts_with_two_commands():
    assert README.startswith("# aemon\n\n```sh\nmake demo ")
    assert "\nmake test " in README.split("```")[1]


def test_make_knows_the_commands():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z][a-z-]+)\b", TEXT)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_configuration_loads(text, tmp_path):
    path = tmp_path / "aemon.yaml"
    path.write_text(text)
    assert isinstance(load_config(path), Config)
    assert yaml.safe_load(text)["monitors"]


@pytest.mark.parametrize("text", blocks("python"))
def test_its_python_runs(text):
    namespace = {}
    *lines, last = text.strip().splitlines()
    exec("\n".join(lines), namespace)
    assert eval(last, namespace).tolist() == [1, -1], last


def test_it_names_every_table_view_and_source_key():
    for name in (*metadata.tables, *(view.name for view in VIEWS)):
        assert f"`{name}`" in TEXT, name
    for settings in usable_kinds().values():
        for key in settings.model_fields:
            assert key == "kind" or f"`{key}`" in TEXT, key


def test_it_names_every_reason_to_suppress_an_anomaly():
    for reason in Quiet:
        assert f"\n| `{reason}` |" in TEXT, reason
