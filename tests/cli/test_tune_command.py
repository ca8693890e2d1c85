"""`aemon tune` and `aemon kinds`: choosing a detector."""

import json

import yaml

from aemon.config.detector_settings import DetectorKind, DetectorSettings
from aemon.errors import ExitCode
from tests.cli.commands import WIDTH, add_monitor, change, run, sql

KINDS = DetectorKind.__args__


def test_every_kind_is_told_in_a_line(folder):
    listed = json.loads(run(folder, "kinds", "--json").stdout)
    assert tuple(kind["kind"] for kind in listed) == KINDS
    assert all(len(kind["summary"]) > 10 for kind in listed)
    text = run(folder, "kinds").stdout
    assert all(f"\n{kind} " in text for kind in KINDS)
    assert max(map(len, text.splitlines())) <= WIDTH


def test_it_tries_says_and_changes_nothing(folder):
    # Given a monitor with hardly any training, and no time for a long search
    change(folder, "detector: {steps: 60, members: 1}", "detector: {kind: elm, code_size: 1}")
    before = (folder / "aemon.yaml").read_text()
    # When better settings are searched
    done = run(folder, "tune", "pumps", "--seconds", "6")
    # Then what was tried is told, at 80 columns, and what to write
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].split() == ["AUROC", "error", "flagged", "seconds", "settings"]
    assert "present settings" in lines[1]
    assert "(best)" in done.stdout
    snippet = yaml.safe_load(done.stdout[done.stdout.index("\nmonitors:") :])
    advised = DetectorSettings.model_validate(snippet["monitors"]["pumps"]["detector"])
    assert advised != DetectorSettings(kind="elm", code_size=1)
    assert (folder / "aemon.yaml").read_text() == before
    assert not (folder / "aemon.db").exists(), "nor is a store made"


def test_programs_get_every_trial(folder):
    told = json.loads(run(folder, "tune", "pumps", "--seconds", "0", "--json").stdout)
    (trial,) = told["trials"]
    assert told["changes"] == trial["changes"] == {}
    assert not told["finished"]
    assert 0.5 < trial["criterion"] <= 1
    assert set(trial["by_planting"]) == {"swapped", "shifted", "moved", "mirrored", "mixed"}
    text = " ".join(run(folder, "tune", "pumps", "--seconds", "0").stdout.split())
    assert "before all settings were tried: raise --seconds" in text
    assert "change nothing" in text


def test_too_few_records_are_refused(folder):
    add_monitor(folder, "few", sql(folder, "readings"))
    change(folder, "table: readings", "query: SELECT * FROM readings WHERE id < 50")
    error = run(folder, "tune", "few", code=ExitCode.DATA).stderr
    assert "50 records are too few for a search" in error
    assert "no monitor" in run(folder, "tune", "fw", code=ExitCode.CONFIG).stderr


def test_a_live_source_is_tuned_on_what_was_kept(folder):
    add_monitor(folder, "machine", "{kind: host, sample_every: 200ms}")
    error = run(folder, "tune", "machine", code=ExitCode.NO_DETECTOR).stderr
    assert "no results yet" in error
    run(folder, "db", "upgrade")
    assert "0 records are too few" in run(folder, "tune", "machine", code=ExitCode.DATA).stderr
