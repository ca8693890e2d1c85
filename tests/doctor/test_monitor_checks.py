import gzip
import os
from types import SimpleNamespace

import pytest

from aemon.clock import utc_now
from aemon.config.source_settings import CsvSource, HostSource
from aemon.doctor.finding import Level
from aemon.doctor.monitor_checks import open_ends, unread_files


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
    assert "pumps: 3 files beside are read by no monitor: b.txt, c.xls, more/d.csv" in found.what
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
    assert found.what.endswith("no line end, of a.csv")
