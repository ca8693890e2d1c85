"""`aemon snooze`, and what becomes of records that are kept quiet."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import change, run
from tests.processes import insert


@pytest.fixture
def trained(folder, once):

    def build() -> None:
        run(folder, "train")

    return once(build)


def strike(folder, at: datetime) -> None:
    insert(folder / "plant.db", "readings", [(5000, at.isoformat(), 9.0, 2.2, 0.8)])
    run(folder, "score")


def test_what_is_snoozed_is_stored_told_only_to_who_asks_and_ends_when_it_is_ended(trained):
    (made,) = json.loads(
        run(trained, "snooze", "pumps", "--for", "2h", "--note", "filter", "--json").stdout
    )
    lasts = datetime.fromisoformat(made["until"]) - datetime.fromisoformat(made["since"])
    assert (lasts, made["entity"], made["note"]) == (timedelta(hours=2), None, "filter")
    strike(trained, datetime.now(UTC) + timedelta(seconds=1))
    assert json.loads(run(trained, "anomalies", "--json").stdout) == []
    text = run(trained, "anomalies", "--suppressed").stdout
    assert "snoozed" in text
    explained = run(trained, "explain", "pumps", "5000").stdout
    assert "suppressed: it lies in a period that was snoozed" in explained
    assert "rank" in explained
    assert "filter" in run(trained, "snooze", "list").stdout
    run(trained, "snooze", "end", str(made["id"]))
    assert "nothing is snoozed" in run(trained, "snooze", "list").stdout
    (over,) = json.loads(run(trained, "snooze", "list", "--all", "--json").stdout)
    assert over["until"] < made["until"]
    told = run(trained, "snooze", "end", str(made["id"]), code=ExitCode.DATA).stderr
    assert f"there is no snooze {made['id']} to end" in told


def test_an_entity_is_snoozed_until_a_time_and_options_may_come_first(trained):
    until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}"
    (made,) = json.loads(
        run(trained, "snooze", "--until", until, "--entity", "p4", "pumps", "--json").stdout
    )
    assert (made["entity"], made["until"]) == ("p4", f"{until}+00:00")


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["pumps"], "needs either --for or --until", ExitCode.CONFIG),
        (["pumps", "--for", "2h", "--until", "2099-01-01"], "needs either", ExitCode.CONFIG),
        (["pumps", "--until", "2020-01-01"], "is in the past", ExitCode.CONFIG),
        (["pumps", "--for", "soon"], "is not a duration", ExitCode.USAGE),
        (["pump", "--for", "2h"], "did you mean 'pumps'?", ExitCode.CONFIG),
    ],
)
def test_what_cannot_be_snoozed_is_explained(folder, arguments, told, code):
    assert told in " ".join(run(folder, "snooze", *arguments, code=code).stderr.split())


def test_without_arguments_it_helps(folder):
    assert "snooze MONITOR" in run(folder, "snooze", "--help").stdout


def test_maintenance_of_the_calendar_is_kept_quiet(folder):
    change(folder, "    score_every: 1s\n", "    score_every: 1s\n    quiet:\n      maintenance:\n"
           "      - {since: 2026-01-01T00:59:00Z, until: 2026-01-01T02:00:00Z}\n")  # fmt: skip
    run(folder, "train")
    strike(folder, readings.START + timedelta(hours=1))
    (kept,) = json.loads(run(folder, "anomalies", "--suppressed", "--json").stdout)
    assert (kept["quiet"], kept["record_key"]) == ("maintenance", "5000")
