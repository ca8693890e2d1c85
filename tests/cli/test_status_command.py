"""`aemon status`: the target rate and the realised rate, side by side at 80 columns."""

import json

import pytest

from aemon.errors import ExitCode
from tests.cli.commands import WIDTH, add_monitor, change, run, sql
from tests.processes import insert

FAULT = "2026-01-01T01:00:00+00:00"


@pytest.fixture(autouse=True)
def _no_daemon(folder):
    """Nobody listens there, also where an aemon runs on this machine."""
    change(folder, "monitors:\n", "http: {listen: 127.0.0.1:1}\nmonitors:\n")


def test_there_is_nothing_to_show_before_a_first_run(folder):
    error = run(folder, "status", code=ExitCode.NO_DETECTOR).stderr
    assert "there are no results yet" in error
    run(folder, "db", "upgrade")
    source, *told = run(folder, "status").stdout.splitlines()
    assert source == "from the store: the daemon does not answer at 127.0.0.1:1"
    assert told == ["no monitor has run yet"]


def test_promised_and_realised_stand_side_by_side(folder):
    # Given one monitor that has flagged one record of two, a third being absent, and one without
    # a detector
    run(folder, "train")
    rows = [(300, FAULT, 9.0, 2.2, 0.8), (301, FAULT, 4.0, 2.2, 1.1), (302, FAULT, *[None] * 3)]
    insert(folder / "plant.db", "readings", rows)
    add_monitor(folder, "fans", sql(folder, "readings"), "    min_records: 9000\n")
    run(folder, "score")
    # When a person asks, or a program
    text = run(folder, "status").stdout
    told = json.loads(run(folder, "status", "--json").stdout)
    # Then both rates are there
    assert max(map(len, text.splitlines())) <= WIDTH
    _, *lines = text.splitlines()
    assert lines[0].split()[-5:] == ["judged", "target", "flagged", "last", "run"]
    pumps = next(line for line in lines if line.startswith("pumps"))
    assert pumps.split()[-4:-2] == ["2", "0.1%"]
    assert told[0]["name"] == "pumps"
    assert told[0]["false_alarm_rate"] == 0.001
    assert told[0]["realised"]["judged"] == 2
    assert told[0]["provisional"]  # 0.1 % takes a thousand records
    assert "provisional: too few records to show the target rate" in text
    fans = next(line for line in lines if line.startswith("fans"))
    assert fans.split() == ["fans", "0", "collecting"]
    assert "collecting 203 of 9000 records" in text
