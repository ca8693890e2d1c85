"""`aemon episodes`, and `aemon feedback` on a whole one: what happened, told and answered once."""

import json

import pytest

from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import LEARNED, ODD, run, strike
from tests.processes import insert


def listed(folder, *arguments) -> list[dict]:
    found: list[dict] = json.loads(run(folder, "episodes", "list", "--json", *arguments).stdout)
    return found


def test_episodes_are_listed_newest_first_and_named_by_what_they_are_like(struck):
    third, second, first = listed(struck)
    assert [one["records"] for one in (first, second, third)] == [3, 2, 1]
    assert [one["state"] for one in (first, second, third)] == ["closed", "closed", "open"]
    assert (first["like_id"], second["like_id"]) == (None, first["id"])
    assert [one["id"] for one in listed(struck, "--open")] == [third["id"]]
    assert len(listed(struck, "--limit", "2", "-m", "pumps")) == 2
    text = run(struck, "episodes", "list").stdout
    assert text.splitlines()[0].split()[0] == "id"
    assert f"like episode {first['id']}" in text


def test_a_labelled_one_is_what_the_next_is_like(struck):
    *_, first = listed(struck)
    run(struck, "episodes", "label", str(first["id"]), "stuck sensor")
    strike(struck, LEARNED + 60, 2)
    newest = listed(struck)[0]
    assert (newest["like_id"], newest["like_label"]) == (first["id"], "stuck sensor")
    shown = run(struck, "episodes", "show", str(newest["id"])).stdout
    assert f"like episode {first['id']}, labelled stuck sensor (likeness 1.00)" in shown


def test_one_is_shown_with_its_records_its_columns_and_its_peaks_reason(struck):
    number = str(listed(struck)[-1]["id"])
    shown = json.loads(run(struck, "episodes", "show", number, "--json").stdout)
    assert [one["record_key"] for one in shown["flagged_records"]] == [
        str(LEARNED + n) for n in (2, 1, 0)]  # fmt: skip
    assert set(shown["blame"]) == {"flow", "pressure", "current"}
    text = run(struck, "episodes", "show", number).stdout
    assert "critical, closed" in text
    assert f"at its peak, record {shown['peak_record_key']}: " in text
    assert "where" in text
    assert text.count("%") == 3


def test_one_is_taken_up_goes_on_and_ends(struck):
    number = listed(struck)[0]["id"]
    told = json.loads(
        run(struck, "episodes", "ack", str(number), "--note", "on my way", "--json").stdout
    )
    assert (told["state"], told["note"]) == ("acknowledged", "on my way")
    insert(struck / "plant.db", "readings", [
        (LEARNED + 41, next(readings.rows(1, first=LEARNED + 41))[1], *ODD)])  # fmt: skip
    run(struck, "score")
    (ongoing,) = listed(struck, "--open")
    assert (ongoing["id"], ongoing["state"], ongoing["records"]) == (number, "acknowledged", 2)
    insert(struck / "plant.db", "readings", readings.rows(10, first=LEARNED + 42))
    run(struck, "score")
    assert listed(struck, "--open") == []
    assert listed(struck)[0]["acknowledged_at"] == told["acknowledged_at"]


def test_one_is_closed_by_hand_and_the_next_anomaly_begins_another(struck):
    number = listed(struck)[0]["id"]
    assert "closed" in run(struck, "episodes", "close", str(number)).stdout
    insert(struck / "plant.db", "readings", [
        (LEARNED + 41, next(readings.rows(1, first=LEARNED + 41))[1], *ODD)])  # fmt: skip
    run(struck, "score")
    assert [one["id"] for one in listed(struck, "--open")] != [number]
    assert len(listed(struck)) == 4


def test_an_episode_nobody_was_told_of_is_unknown(struck):
    for command in (["show", "99"], ["ack", "99"], ["close", "99"], ["label", "99", "leak"]):
        told = run(struck, "episodes", *command, code=ExitCode.DATA).stderr
        assert "there is no episode 99 of pumps" in told


def test_a_verdict_on_an_episode_is_one_on_each_of_its_records(struck):
    number = str(listed(struck)[-1]["id"])
    arguments = ("feedback", "pumps", "false_alarm", "--episode", number, "--note", "test")
    said = json.loads(run(struck, *arguments, "--json").stdout)
    assert [one["record_key"] for one in said] == [str(LEARNED + n) for n in range(3)]
    assert {(one["verdict"], one["note"], one["detector_id"]) for one in said} == {
        ("false_alarm", "test", None)
    }
    assert run(struck, *arguments).stdout.count("at the next training") == 3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["ignore_until", "--until", "2026-01-01", "-e", "1"], "does not go with ignore_until"),
        (["confirmed", "-r", "5", "-e", "1"], "does not go with --record"),
    ],
)
def test_what_cannot_be_said_of_an_episode_is_explained(folder, said, told):
    assert told in run(folder, "feedback", "pumps", *said, code=ExitCode.CONFIG).stderr
