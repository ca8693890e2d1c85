"""`aemon docs`: topics, pages and words, for people and for programs."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from aemon.cli.main import app
from aemon.errors import ExitCode, UnknownTopicError
from aemon.operations.reference_pages import find_page, list_pages, search_pages
from tests.documents import PAGES
from tests.processes import aemon


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["docs", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_page_is_listed_with_one_sentence():
    listed = " ".join(printed().split())
    for page in list_pages():
        assert f" {page.topic} {page.summary}" in f" {listed}"


def test_a_page_is_printed_as_it_is_where_a_program_reads_it():
    assert printed("thresholds") == PAGES["thresholds"]


def test_the_list_is_json_for_programs():
    listed = json.loads(printed("--json"))
    assert [entry["topic"] for entry in listed] == list(PAGES)
    assert json.loads(printed("logs", "--json"))["text"] == PAGES["logs"]
    found = json.loads(printed("--search", "martingale", "--json"))
    assert {"topic", "section", "text"} == set(found[0])


@pytest.mark.parametrize(
    "written", ["alert-rules", "Alert rules", "alert_rules.md", " ALERT-RULES "]
)
def test_a_topic_may_be_written_freely(written):
    assert find_page(written).topic == "alert-rules"


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("treshold", "thresholds"),
        ("notifications", "episodes-and-notifications"),
        ("metric", "metrics"),
    ],
)
def test_a_topic_that_is_not_there_brings_close_ones(wanted, near):
    done = aemon("docs", wanted, check=False)
    assert done.returncode == ExitCode.USAGE
    assert wanted in done.stderr
    assert f"did you mean {near}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_topic_like_no_other_brings_the_way_to_the_list():
    with pytest.raises(UnknownTopicError) as caught:
        find_page("zzzz")
    assert caught.value.todo == "`aemon docs` lists all topics"


def test_a_word_is_found_with_its_page_and_section():
    (found,) = [one for one in search_pages("MARTINGALE") if one.topic == "drift"]
    assert found.section == "Drift"
    assert "martingale" in found.text
    assert any(one.topic == "metrics" for one in search_pages("aemon_store_up"))


def test_a_phrase_is_found_across_the_lines_of_a_paragraph():
    paragraphs = [text for text in PAGES["training"].split("\n\n") if text.count("\n") > 1]
    first, second = paragraphs[0].split("\n")[:2]
    phrase = f"{first.split()[-1]} {second.split()[0]}"
    assert any(one.topic == "training" for one in search_pages(phrase))


@pytest.mark.parametrize("word", ["zzzz", "", "  "])
def test_a_word_that_is_nowhere_is_an_error(word):
    with pytest.raises(UnknownTopicError, match="no page contains"):
        search_pages(word)


def test_a_topic_and_a_search_at_once_are_refused():
    assert CliRunner().invoke(app, ["docs", "logs", "--search", "x"]).exit_code == ExitCode.USAGE


def test_a_terminal_gets_a_formatted_page():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aemon", "docs", "push"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.STDOUT) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # Linux: the other side is closed
            pass
        assert process.wait(timeout=60) == 0
        os.close(ours)
    text = re.sub(r"\x1b\[[\d;]*m", "", shown.decode())
    assert "Push: programs send records" in text
    assert "# Push" not in text
    assert "aemon docs http-and-security" in " ".join(text.split())


def test_neither_pandas_nor_the_database_is_loaded_for_a_page():
    code = (
        "import sys; from typer.testing import CliRunner; from aemon.cli.main import app;"
        "done = CliRunner().invoke(app, ['docs', 'logs']); assert done.exit_code == 0;"
        "assert not {'pandas', 'sqlalchemy', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
