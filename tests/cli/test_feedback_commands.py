"""`aemon feedback` and `aemon detectors`: saying what a record was, and seeing what came of it."""

import json

import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, add_monitor, run, sql
from tests.processes import insert


@pytest.fixture
def judged(folder, once):
    """A folder with a detector and judged records, the last of them odd."""

    def build() -> None:
        run(folder, "train")
        insert(folder / "plant.db", "readings", readings.rows(100, first=LEARNED))
        insert(
            folder / "plant.db", "readings", [(5000, "2026-01-01T01:00:00+00:00", 9.0, 2.2, 0.8)]
        )
        run(folder, "score")

    return once(build)


def test_what_is_said_is_taken_up_at_the_next_training(judged):
    assert "at the next" in run(judged, "feedback", "pumps", "false_alarm", "-r", "5000").stdout
    run(judged, "feedback", "pumps", "ignore_until", "--until", "2026-01-01T00:03:00")
    run(judged, "feedback", "pumps", "confirmed", "-r", str(LEARNED + 3), "--note", "pump 2 dry")
    run(judged, "train")
    said = json.loads(run(judged, "feedback", "pumps", "--json").stdout)
    assert [one["verdict"] for one in said] == ["false_alarm", "ignore_until", "confirmed"]
    assert all(one["detector_id"] == 2 for one in said)
    shown = run(judged, "detectors", "show", "2").stdout
    assert "1 confirmed" in shown
    assert "3 entries used" in shown
    assert run(judged, "detectors", "rebuild", "2").stdout.count("the same scores") == 1
    # The false alarm is judged again by the detector that learned from it
    again = run(judged, "score", "--again", "--since", "2026-01-01T01:00:00", "--json").stdout
    assert json.loads(again)[0]["records_revised"] == 1
    assert json.loads(run(judged, "anomalies", "--json").stdout) == [
        record
        for record in json.loads(run(judged, "anomalies", "--json").stdout)
        if record["record_key"] != "5000"
    ]


def test_a_record_nobody_judged_yet_is_noted(judged):
    told = run(judged, "feedback", "pumps", "confirmed", "--record", "77777").stderr
    assert "has judged no record '77777' yet" in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["confirmed"], "add --record KEY"),
        (["ignore_until"], "--until 2026"),
        (["false_alarm", "-r", "1", "--until", "2026-01-01"], "does not go with false_alarm"),
    ],
)
def test_what_cannot_be_said_is_explained(judged, said, told):
    assert told in run(judged, "feedback", "pumps", *said, code=ExitCode.CONFIG).stderr


def test_detectors_are_listed_and_shown(judged):
    (listed,) = json.loads(run(judged, "detectors", "list", "--json").stdout)
    assert (listed["monitor"], listed["version"], listed["state"]) == ("pumps", 1, "active")
    shown = json.loads(run(judged, "detectors", "show", "1", "--json").stdout)
    assert shown["manifest"]["read"]["limit"] == LEARNED
    assert (
        "no detector 9" in run(judged, "detectors", "show", "9", code=ExitCode.NO_DETECTOR).stderr
    )
    add_monitor(judged, "other", sql(judged, "readings"))
    told = run(judged, "detectors", "show", "1", code=ExitCode.CONFIG).stderr
    assert "--monitor: pumps, other" in told
    assert "active" in run(judged, "detectors", "show", "1", "-m", "pumps").stdout


def test_a_source_that_changed_cannot_give_the_same_detector_again(judged):
    import sqlite3

    connection = sqlite3.connect(judged / "plant.db")
    with connection:
        connection.execute("DELETE FROM readings WHERE id = 5")
    connection.close()
    told = run(judged, "detectors", "rebuild", "1", code=ExitCode.FAILED).stdout
    assert "differ from the training records" in " ".join(told.split())


def test_since_goes_with_again(judged):
    told = run(judged, "score", "--since", "2026-01-01", code=ExitCode.CONFIG).stderr
    assert "needs --again" in told
