import gzip
import json
import os
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.doctor.finding import Level
from aemon.doctor.monitor_checks import open_ends, records, sources, unread_files
from aemon.records import Job, Outcome, Watermark
from aemon.run_report import RunCounts, RunReport
from aemon.sources.csv.settings import CsvSource
from aemon.sources.host.settings import HostSource
from aemon.sources.sql.settings import SqlSource
from aemon.store.ledger import save_run
from aemon.store.store import Mark


def config(**paths):
    monitors = {
        name: SimpleNamespace(source=CsvSource(path=path, time="ts"))
        for name, path in paths.items()
    }
    return SimpleNamespace(monitors=monitors | {"host": SimpleNamespace(source=HostSource())})


@pytest.fixture
def folder(tmp_path):
    for name in ("a.csv", "a.csv.1", "b.txt", "c.xls", ".hidden", "more/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("ts\n")
    return tmp_path


def test_files_that_no_monitor_reads_are_named(folder):
    (found,) = unread_files(config(pumps=folder))
    assert found.level is Level.WARNING
    assert (
        "pumps: no monitor reads 3 other files in the watched folders: b.txt, c.xls, more/d.csv"
        in found.what
    )
    assert "path: exports/*.txt" in found.todo


def test_a_file_that_another_monitor_reads_is_read(folder):
    (folder / "c.xls").unlink()
    assert not [*unread_files(config(pumps=folder, fans=folder / "*.txt", d=folder / "*/*.csv"))]


def test_a_source_that_is_not_there_is_told_elsewhere(tmp_path):
    assert not [*unread_files(config(pumps=tmp_path / "nowhere"))]


def test_a_last_line_that_nobody_finishes_is_told(tmp_path):
    for name, text in {"a.csv": "ts\n1", "b.csv": "ts\n1\n", "c.csv": "ts\n1"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"ts\n1"))
    os.utime(tmp_path / "a.csv", (0, 0))
    os.utime(tmp_path / "d.csv.gz", (0, 0))
    (found,) = open_ends(config(pumps=tmp_path), utc_now)
    assert found.what.endswith("no line end: a.csv")


def test_records_that_got_no_verdict_are_told(store, settings):
    now = store.now()

    def ran(read: int, too_late: int, others: int, ago: timedelta = timedelta(hours=1)) -> None:
        counts = RunCounts(
            records_read=read,
            records_too_late=too_late,
            rejected={"too_late": too_late, "no_time": others},
        )
        report = RunReport(
            monitor="pumps", job=Job.SCORE, outcome=Outcome.OK, counts=counts,
            started_at=now - ago, finished_at=now - ago,
        )  # fmt: skip
        save_run(store, report)

    def found() -> list[tuple[str, str]]:
        told = records(store, SimpleNamespace(monitors={"pumps": settings}))
        return [(one.level, one.what) for one in told]

    fine = (Level.OK, "of the last day's records, at most one in a hundred was not judged")
    ran(1000, 50, 50, ago=timedelta(days=2))
    assert found() == [fine]
    ran(1000, 0, 9)
    assert found() == [fine]
    ran(1000, 3, 40)
    assert found() == [
        (Level.WARNING, "pumps: 3 records of the last day came too late to be judged"),
        (Level.WARNING, "pumps: 49 of 2000 records of the last day were rejected"),
    ]


def test_keys_that_were_given_up_are_told(store, settings):
    position = {"time": ["text", "2026"], "key": ["int", 9], "given_up": ["int", 3]}
    at = Watermark(event_time=store.now(), record_key="9", position=json.dumps(position))
    with store.commit("pumps", Mark(source="s"), at, at):
        pass
    told, fine = records(store, SimpleNamespace(monitors={"pumps": settings}))
    assert told.what.startswith("pumps: 3 keys below the newest key were missing")
    assert (told.level, fine.level) == (Level.OK, Level.OK)


def test_keys_that_do_not_tell_which_records_are_new_are_told(tmp_path):
    """Of times in time order as keys nothing appears behind the newest that could be told."""
    connection = sqlite3.connect(tmp_path / "plant.db")
    with connection:
        connection.execute("CREATE TABLE readings (id TEXT, n INTEGER, ts TEXT, flow REAL)")
        connection.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, 1.0)",
            [(uuid.uuid4().hex, n, f"2026-01-01T00:00:{n:02}Z") for n in range(50)],
        )
    connection.close()
    told = {}
    for key in ("id", "n"):
        source = SqlSource(
            url=f"sqlite:///{tmp_path}/plant.db", table="readings", time="ts", key=key
        )
        one = MonitorSettings(source=source, score_every="1m")
        (found,) = sources(
            SimpleNamespace(monitors={"pumps": one}), lambda: datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        )
        told[key] = found.what
    assert (
        "more than 5m older than the newest record; set lateness to look further back" in told["id"]
    )
    assert "lateness" not in told["n"]
