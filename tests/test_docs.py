"""README and pages say what is so: configurations load, commands, tables and links exist."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main
import yaml
from pydantic import BaseModel

from aemon.cli.main import app
from aemon.config.loading import load_config
from aemon.config.schema import Config, MonitorSettings
from aemon.config.source_registry import usable_kinds
from aemon.config.source_settings import SourceSettings
from aemon.operations.reference_pages import list_pages
from aemon.records import Quiet
from aemon.store.schema.tables import metadata
from aemon.store.schema.views import VIEWS
from tests.documents import DEPLOYMENT, PAGES, README, ROOT, TEXT, anchor_of, blocks, parts_of

MOST_BYTES = 15_000
MOST_BYTES_OF_A_PAGE = 12_288
DOCUMENTS = {
    "README.md": README,
    "deploy/README.md": DEPLOYMENT,
    **{f"aemon/docs/{topic}.md": text for topic, text in PAGES.items()},
}


def test_it_starts_with_two_commands():
    assert README.startswith("# aemon\n\n```sh\nmake demo ")
    assert "\nmake test " in README.split("```")[1]


def test_a_document_is_read_in_one_sitting():
    assert len(README.encode()) <= MOST_BYTES
    large = {
        topic: size
        for topic, text in PAGES.items()
        if (size := len(text.encode())) > MOST_BYTES_OF_A_PAGE
    }
    assert large == {}


def test_make_knows_the_commands():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z][a-z-]+)\b(?=[`\n ])", _code())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def _code() -> str:
    """All code of the documents: blocks, and spans within prose and tables."""
    spans = re.findall(r"`([^`\n]+)`", TEXT)
    return "\n".join([*blocks("sh"), *spans, ""])


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


def _keys(settings: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key below these settings but those of sources, with the path to it."""
    for name, field in settings.model_fields.items():
        yield above + name
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            inner = isinstance(kind, type) and issubclass(kind, BaseModel)
            if inner and not issubclass(kind, SourceSettings):
                yield from _keys(kind, f"{above}{name}.")


@pytest.mark.parametrize("path", sorted(_keys(Config)))
def test_it_names_every_key_of_the_configuration(path):
    """In a span such as `keep`, `life.trial` or `keep: 0.05`, or in a block."""
    key = path.split(".")[-1]
    assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`|^[^|\n]*\b{key}:", TEXT, re.MULTILINE)


def test_every_command_is_on_the_page_of_commands():
    for words in _commands():
        assert f"`{words}" in PAGES["cli"], words


def _commands() -> Iterator[str]:
    def below(command: click.Command, words: str) -> Iterator[str]:
        if not isinstance(command, click.Group):
            yield words
            return
        for name, child in command.commands.items():
            if not child.hidden:
                yield from below(child, f"{words} {name}")

    for words in below(typer.main.get_command(app), "aemon"):
        yield words.removesuffix(" add")  # `aemon snooze MONITOR` is `aemon snooze add MONITOR`


def _written_commands() -> list[str]:
    """The commands of aemon that documents show, with arguments or without."""
    shown = [
        line
        for text in DOCUMENTS.values()
        for block in blocks("sh", text)
        for line in block.splitlines()
    ]
    spans = re.findall(r"`(aemon [^`\n]+)`", "\n".join(DOCUMENTS.values()))
    commands = {re.split(r" #| >|\||;|&&", line)[0].strip() for line in [*shown, *spans]}
    return sorted(line for line in commands if line.startswith("aemon "))


@pytest.mark.parametrize("line", _written_commands())
def test_a_command_can_be_typed_as_it_is_written(line):
    """Options, choices and the number of arguments; a name alone is a mention."""
    words = shlex.split(line)[1:]
    command, context = typer.main.get_command(app), None
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        context = click.Context(command, info_name=name, parent=context)
        found = command.get_command(context, name)
        if found is None and name in {"pumps", "MONITOR"}:
            found, words = command.get_command(context, "add"), [name, *words]
        assert found is not None, f"there is no command {name}"
        command = found
    if words and words != ["--help"]:
        command.make_context(line, words, parent=context)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", DOCUMENTS[name])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else ROOT / name
        assert file.exists(), target
        if anchor:
            headings = parts_of(file.read_text(encoding="utf-8")).headings
            assert anchor in {anchor_of(heading) for heading in headings}, target


def test_every_page_can_be_reached_from_the_readme():
    linked = set(re.findall(r"\]\(aemon/docs/([a-z-]+)\.md", README))
    further = {topic for page in linked for topic in re.findall(r"\]\(([a-z-]+)\.md", PAGES[page])}
    assert set(PAGES) <= linked | further


@pytest.mark.parametrize("page", list_pages(), ids=lambda page: page.topic)
def test_a_page_says_in_one_sentence_what_it_is_about(page):
    assert page.title
    assert page.summary.endswith(".")
    assert 20 <= len(page.summary) <= 120
    assert "\n# " not in page.text


def test_texts_of_the_code_point_to_pages_and_sections_that_are_there():
    for path in (ROOT / "aemon").rglob("*.py"):
        for topic, section in re.findall(
            r"docs/([a-z-]+)\.md(?:, \"([^\"]+)\")?", path.read_text(encoding="utf-8")
        ):
            assert topic in PAGES, path
            if section:
                assert section in parts_of(PAGES[topic]).headings, (path, section)


def test_the_glossary_names_classes_that_are_there():
    named = re.findall(r"^\| `(\w+)` in `([\w.]+)` \|", PAGES["glossary"], re.MULTILINE)
    assert len(named) >= 10
    for name, module in named:
        assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize("text", blocks("yml"))
def test_a_part_of_a_configuration_is_valid(text, tmp_path):
    """Blocks that show some keys of a monitor are put into one; Prometheus takes the others."""
    keys = yaml.safe_load(text)
    if not set(keys) <= set(MonitorSettings.model_fields):
        assert "scrape_configs" in keys
        return
    monitor = {"source": {"kind": "host"}, "score_every": "1m", **keys}
    path = tmp_path / "aemon.yaml"
    path.write_text(yaml.safe_dump({"monitors": {"here": monitor}}))
    assert load_config(path).monitors["here"].model_fields_set >= set(keys)


def test_the_code_cites_no_document_that_readers_do_not_have():
    for path in Path(ROOT / "aemon").rglob("*.py"):
        assert "QUALITY" not in path.read_text(encoding="utf-8"), path
