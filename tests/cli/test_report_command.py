"""`aemon report`: one page about a monitor in a period."""

import json
import re
from html.parser import HTMLParser

from aemon.errors import ExitCode
from tests.cli.commands import run

LOADING = {"script", "link", "img", "iframe", "object", "embed", "source"}


class Page(HTMLParser):
    """The tags and the texts of a page; fails at a tag that closes another."""

    EMPTY = frozenset({"meta", "br", "path", "line", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_a_report_is_one_page_that_loads_nothing(struck):
    done = run(struck, "report", "pumps", "--out", "page.html")
    assert done.stdout.startswith("page.html: ")
    assert "3 episodes" in done.stdout
    text = (struck / "page.html").read_text()
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & LOADING
    assert {"svg", "path", "table"} <= names
    assert not re.findall(r"""(?:src|href|url)\s*[=(]""", text)
    shown = " ".join(" ".join(page.texts).split())
    assert shown.count("Episode ") == 3
    assert re.search(r"(flow|pressure|current) [\d.]+ where [\d.]+ was expected", shown)
    assert "6 of 26 records were flagged; the target rate allows about 0.026" in shown
    assert (struck / "page.html").stat().st_size < 300_000


def test_its_json_agrees_with_the_other_commands(struck):
    found = json.loads(run(struck, "report", "pumps", "--json").stdout)
    flagged = json.loads(run(struck, "anomalies", "--json").stdout)
    listed = json.loads(run(struck, "episodes", "list", "--json").stdout)
    by_verdict = {one["verdict"]: one["records"] for one in found["verdicts"]}
    assert by_verdict["anomaly"] == len(flagged) == found["promise"]["flagged"] == 6
    assert {one["id"] for one in found["episodes"]} == {one["id"] for one in listed}
    assert found["episodes"][0]["state"] == "open"
    assert sum(found["series"]["records"]) == sum(by_verdict.values())
    assert ["score", "ok", 3] in found["runs"]
    assert [one["version"] for one in found["detectors"]] == [1]
    assert found["until"] > found["since"]


def test_a_part_of_the_period(struck):
    since, until = "2026-01-01T00:03:20", "2026-01-01T00:03:23"
    narrow = json.loads(
        run(struck, "report", "pumps", "--since", since, "--until", until, "--json").stdout
    )
    assert sum(one["records"] for one in narrow["verdicts"]) == 3
    assert len(narrow["episodes"]) == 1
    page = run(
        struck, "report", "pumps", "--since", "2020-01-01", "--until", "2020-01-02", "--out", "-"
    ).stdout
    shown = " ".join(" ".join(Page(page).texts).split())
    assert "No record was judged in this period." in shown
    assert "None in this period." in shown


def test_names_and_notes_with_markup_are_shown_as_they_are(struck):
    note = '<script>alert(1)</script> & "done"'
    number = json.loads(run(struck, "episodes", "list", "--json").stdout)[0]["id"]
    run(struck, "episodes", "ack", str(number), "--note", note)
    run(struck, "episodes", "label", str(number), "<b>seal</b>")
    text = run(struck, "report", "pumps", "--out", "-").stdout
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "b"}
    shown = "".join(page.texts)
    assert note in shown
    assert "<b>seal</b>" in shown


def test_what_cannot_be_reported(struck):
    assert "did you mean 'pumps'" in run(struck, "report", "pump", code=ExitCode.CONFIG).stderr
    assert (
        "neither a duration"
        in run(struck, "report", "pumps", "--since", "lately", code=ExitCode.USAGE).stderr
    )
    assert "the period begins at" in run(
        struck, "report", "pumps", "--since", "2026-01-02", "--until", "2026-01-01",
        code=ExitCode.USAGE,
    ).stderr  # fmt: skip
    refused = run(struck, "report", "pumps", "--out", "no/such/page.html", code=ExitCode.FAILED)
    assert "cannot be written" in refused.stderr


def test_a_monitor_without_results_and_one_without_judged_records(folder):
    assert "no results" in run(folder, "report", "pumps", code=ExitCode.NO_DETECTOR).stderr
    run(folder, "train")
    run(folder, "score")
    done = run(folder, "report", "pumps")
    assert done.stdout.startswith("pumps-report.html: 0 records, 0 episodes")
    assert "No record was judged" in (folder / "pumps-report.html").read_text()
