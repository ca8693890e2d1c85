"""`aemon detectors promote`, `rollback` and `compare`: who judges, by hand."""

import json

import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, WIDTH, run
from tests.processes import insert


@pytest.fixture
def two(folder, once):
    """A folder in which a second detector was trained, and some records were judged by each."""

    def build() -> None:
        run(folder, "train")
        insert(folder / "plant.db", "readings", readings.rows(100, first=LEARNED))
        run(folder, "score")
        run(folder, "train")
        insert(folder / "plant.db", "readings", [(900, "2026-01-02T00:00:00Z", 9.0, 2.2, 0.8)])
        run(folder, "score")

    return once(build)


def states(folder) -> list[str]:
    return [row["state"] for row in json.loads(run(folder, "detectors", "list", "--json").stdout)]


def test_going_back_and_forth_says_who_judges_and_keeps_why(two):
    assert states(two) == ["retired", "active"]
    told = run(two, "detectors", "rollback").stdout
    assert told == "pumps: detector 1 judges from the next run on instead of detector 2\n"
    assert states(two) == ["active", "retired"]
    assert "rolled back by " in run(two, "detectors", "list").stdout
    told = run(two, "detectors", "promote", "2").stdout
    assert told == "pumps: detector 2 judges from the next run on instead of detector 1\n"
    assert states(two) == ["retired", "active"]


def test_what_cannot_be_done_is_said_with_what_to_do(two):
    for arguments, what in (
        (("promote", "2"), "detector 2 is active already"),
        (("promote", "7"), "no detector 7"),
        (("compare", "7"), "no detector 7"),
    ):
        done = run(two, "detectors", *arguments, code=ExitCode.NO_DETECTOR)
        assert what in done.stderr


def test_with_one_detector_there_is_none_to_go_back_to(folder):
    run(folder, "train")
    done = run(folder, "detectors", "rollback", code=ExitCode.NO_DETECTOR)
    assert "there is no earlier detector to return to" in done.stderr


def test_two_are_compared_on_the_newest_records(two):
    text = run(two, "detectors", "compare", "1").stdout
    assert all(len(line) <= WIDTH for line in text.splitlines())
    for part in ("detector 1", "detector 2", "flagged by both", "validation error"):
        assert part in text
    found = json.loads(run(two, "detectors", "compare", "1", "--json", "--records", "50").stdout)
    assert found["records"] == 50
    assert (found["first"]["version"], found["second"]["version"]) == (1, 2)
    assert found["flagged_by_both"] == 1
    assert found["rank_correlation"] > 0.5
    assert found["first"]["flagged"] >= 1
