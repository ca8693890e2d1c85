"""Files that nobody meant to be CSV: read in bounded time and memory, or refused with the reason."""

import os
import tracemalloc
from time import monotonic

import pytest
from pydantic import ValidationError

from aemon.errors import SourceConfigError
from aemon.records import Watermark
from aemon.sources.csv import encoding
from aemon.sources.csv.csv_text import MOST_COLUMNS
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles

HEAD, TAIL = b"ts,id,note\n2026-01-01T00:00:00,1,", b"\n2026-01-01T00:00:01,2,y\n"


def keys(path, **settings):
    fetched = CsvFiles(CsvSource(path=str(path), time="ts", key="id", **settings)).fetch(None, 100)
    known = fetched.table[fetched.table["ts"].notna()]
    return known["id"].astype(str).tolist(), fetched.warnings


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_field_of_any_length_is_read(tmp_path, quote):
    path = tmp_path / "a.csv"
    path.write_bytes(HEAD + quote + b"x" * 300_000 + quote + TAIL)
    assert keys(path) == (["1", "2"], ())


@pytest.mark.parametrize("code", ["utf-8", "utf-16"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_line_too_long_for_memory_is_set_aside(tmp_path, monkeypatch, code, ended):
    monkeypatch.setattr(encoding, "MOST_LINE_BYTES", 100_000)
    monkeypatch.setattr(encoding, "_BLOCK_BYTES", 65_536)
    path = tmp_path / "a.csv"
    with path.open("w", encoding=code, newline="") as file:
        file.write("ts,id,note\n2026-01-01T00:00:01,2,y\n2026-01-01T00:00:00,1,")
        for _ in range(400):
            file.write("x" * 50_000)
        file.write("\n2026-01-01T00:00:02,3,y\n" if ended else "")
    tracemalloc.start()
    found, warnings = keys(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == (["2", "3"] if ended else ["2"])
    assert not ended or "a line of more than 16 MB" in warnings[0]
    assert most < 6_000_000
    assert keys(path)[0] == found


@pytest.mark.parametrize("separator", ["\n", "\r", '"', "\x00", "", ",,"])
def test_a_separator_that_cannot_be_one_is_refused(separator):
    with pytest.raises(ValidationError):
        CsvSource(path="a.csv", time="ts", separator=separator)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(SourceConfigError, match="not a plain file"):
        keys(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(HEAD + b"x" + TAIL)
    assert keys(tmp_path)[0] == ["1", "2"]


def test_too_many_columns_are_refused_with_their_number(tmp_path):
    path, began = tmp_path / "a.csv", monotonic()
    names = ",".join(f"c{n}" for n in range(2 * MOST_COLUMNS))
    path.write_text(f"ts,id,{names}\n" + f"2026-01-01,1{',1' * 2 * MOST_COLUMNS}\n" * 50)
    with pytest.raises(SourceConfigError, match=r"a\.csv:1: 20,002 columns"):
        keys(path)
    assert monotonic() - began < 10


@pytest.mark.parametrize(
    "position", ["7", "[]", "{", '{"a.csv": 7}', '{"a.csv": {"x": 1}}', "[" * 9_999]
)
def test_a_position_that_makes_no_sense_is_told_with_a_way_out(tmp_path, position):
    path = tmp_path / "a.csv"
    path.write_bytes(HEAD + b"x" + TAIL)
    mark = Watermark(event_time=None, record_key="1", position=position)
    with pytest.raises(SourceConfigError, match=r"watermarks\.position.*delete"):
        CsvFiles(CsvSource(path=str(path), time="ts", key="id")).fetch(mark, 5)
