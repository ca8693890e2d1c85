"""A store, a configuration and detectors made at f914454, before the rooms were moved, go on.

The store was made by that version: 304 records of `readings`, two trained detectors of which the
first is retired, two episodes (one labelled, one acknowledged), feedback on four records, and five
records that a live source left in the history.
"""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from aemon.config.loading import load_config
from aemon.errors import ExitCode
from tests import readings
from tests.cli.commands import run
from tests.processes import insert
from tests.warm_start import aemon_warm

MADE = Path(__file__).parent / "f914454"
CONFIG = """store: sqlite:///{folder}/aemon.db
monitors:
  pumps:
    source: {{kind: sql, url: "sqlite:///plant.db", table: readings, time: ts, key: id}}
    score_every: 1s
    min_records: 200
    chunk_records: 40
    detector: {{steps: 60, members: 1}}
    threshold: {{false_alarm_rate: 0.01}}
    episodes: {{gap: 2}}
    life: {{trial_records: 50}}
  machine:
    source: {{kind: host, sample_every: 1s}}
    score_every: 10s
"""


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A folder as that version left it, its schema brought up to this version's."""
    for name in ("aemon.db", "plant.db"):
        (tmp_path / name).write_bytes(gzip.decompress((MADE / f"{name}.gz").read_bytes()))
    (tmp_path / "aemon.yaml").write_text(CONFIG.format(folder=tmp_path))
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "db", "upgrade")
    return tmp_path


def rows(folder, query: str) -> list[tuple]:
    with sqlite3.connect(folder / "aemon.db") as connection:
        return connection.execute(query).fetchall()


def shown(folder, *arguments):
    return json.loads(run(folder, *arguments, "--json").stdout)


def test_all_that_was_stored_is_there(old):
    detectors = shown(old, "detectors", "list")
    assert [(one["version"], one["state"]) for one in detectors] == [(1, "retired"), (2, "active")]
    episodes = shown(old, "episodes", "list")
    assert [(one["id"], one["state"], one["label"]) for one in episodes] == [
        (2, "acknowledged", ""),
        (1, "closed", "dry run"),
    ]
    assert len(shown(old, "anomalies")) == 4
    assert rows(old, "SELECT verdict, count(*) FROM feedback GROUP BY verdict ORDER BY 1") == [
        ("confirmed", 3),
        ("false_alarm", 1),
    ]
    assert rows(old, "SELECT count(*) FROM history WHERE monitor = 'machine'") == [(5,)]
    assert "2.90 where 2.32 was expected" in run(old, "explain", "pumps", "2000").stdout


def test_the_stored_detector_judges_new_records(old):
    before = rows(old, "SELECT count(*) FROM scores")
    insert(old / "plant.db", "readings", readings.rows(30, first=304))
    insert(old / "plant.db", "readings", [(3000, "2026-01-01T00:05:40+00:00", 9.0, 2.2, 0.8)])
    (pumps,) = shown(old, "score", "pumps")
    assert (pumps["outcome"], pumps["records_scored"], pumps["anomalies"]) == ("ok", 31, 1)
    assert rows(old, "SELECT count(*) FROM scores") == [(before[0][0] + 31,)]
    judges = rows(old, "SELECT DISTINCT detector_id FROM scores WHERE record_key = '3000'")
    assert judges == rows(old, "SELECT id FROM detectors WHERE version = 2")
    # The fault looks like the one that a person labelled
    (newest, *_) = shown(old, "episodes", "list")
    assert (newest["like_id"], newest["like_label"]) == (1, "dry run")


def test_it_can_be_rebuilt_from_what_was_written_down(old):
    done = aemon_warm("detectors", "rebuild", "2", "--monitor", "pumps", "--json", cwd=old)
    rebuilt = json.loads(done.stdout)
    assert (rebuilt["same_records"], rebuilt["same_features"]) == (True, True)
    # Another processor adds up otherwise in the last digits, and the exit code says so.
    assert done.returncode == (ExitCode.OK if rebuilt["same"] else ExitCode.FAILED)
    assert rebuilt["largest_gap"] < 1e-3


def test_feedback_that_was_given_then_is_kept_and_taken_up_once(old):
    assert rows(old, "SELECT count(*) FROM feedback WHERE detector_id IS NULL") == [(0,)]
    run(old, "train", "pumps")
    detectors = shown(old, "detectors", "list")
    assert [one["version"] for one in detectors] == [1, 2, 3]
    (manifest,) = rows(old, "SELECT manifest FROM detectors WHERE version = 3")
    assert len(json.loads(manifest[0])["feedback"]) == 4


def test_every_setting_of_then_is_understood(monkeypatch):
    config = load_config(MADE / "full.yaml", {})
    assert list(config.monitors) == ["pumps", "exports", "machine"]
    assert list(config.notify) == ["alerts", "chat", "tickets"]
