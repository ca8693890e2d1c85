"""`aemon rejected`: what was set aside, of sources that are read again and of streams alike."""

import json

import pytest

from aemon.errors import ExitCode
from aemon.store.inbox.rejected_records import LONGEST_REJECTED
from tests import readings
from tests.cli.commands import LEARNED, add_monitor, run

STEPS = f"    min_records: {LEARNED}\n    detector: {{steps: 60, members: 1}}\n"


def lines(rows) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def trained(folder, once):
    """With a CSV file that is watched beside the table."""

    def build() -> None:
        (folder / "plant.csv").write_text(
            f"id,ts,flow,pressure,current\n{lines(readings.rows(LEARNED))}"
        )
        source = f"{{kind: csv, path: {folder}/plant.csv, time: ts}}"
        add_monitor(folder, "exports", source, STEPS)
        run(folder, "train")

    return once(build)


def listed(folder, *arguments):
    return json.loads(run(folder, "rejected", *arguments, "--json").stdout)


def test_a_record_that_cannot_be_judged_is_listed_with_its_reason_and_text(trained):
    assert run(trained, "rejected").stdout.strip() == "no record was rejected"
    with (trained / "plant.csv").open("a") as file:
        file.write("7,\x1b[2Jsoon,1,2,3\n1,2\n")
        file.write(lines(readings.rows(1, first=LEARNED)))
        file.write(f"8,{'long ' * 4_000},1,2,3\n")
    run(trained, "score", "exports")
    found = listed(trained)
    assert [(one["monitor"], one["reason"]) for one in found] == [("exports", "no_time")] * 3
    assert len(found[0]["record"]) == LONGEST_REJECTED
    assert json.loads(found[1]["record"])["file:line"] == f"plant.csv:{LEARNED + 3}"
    assert json.loads(found[2]["record"])["ts"] == "\x1b[2Jsoon"
    run(trained, "score", "exports")
    assert listed(trained) == found  # each once
    assert listed(trained, "--limit", "1") == found[:1]
    assert listed(trained, "pumps") == []
    assert "in the last 1h" in run(trained, "rejected", "pumps", "--since", "1h").stdout

    text = run(trained, "rejected", "exports").stdout
    assert "no_time" in text
    assert "soon" in text
    assert "\x1b[2J" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["pump"], "did you mean 'pumps'?", ExitCode.CONFIG),
        (["--since", "soon"], "is not a duration", ExitCode.USAGE),
        (["pumps"], "there are no results yet", ExitCode.NO_DETECTOR),
    ],
)
def test_what_cannot_be_listed_is_explained(folder, arguments, told, code):
    assert told in " ".join(run(folder, "rejected", *arguments, code=code).stderr.split())
