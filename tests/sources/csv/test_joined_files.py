"""One file for each tag: joined on time, complete before it is judged, nothing twice."""

import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from aemon.clock import utc_now
from aemon.config.source_settings import identity
from aemon.errors import SourceConfigError
from aemon.reading.reader import Reader
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.tags import column_names, rounded_down
from aemon.sources.source_kinds import check_apart, open_replayable

START = datetime(2026, 3, 1, tzinfo=UTC)


class Folder:
    """Files of tags, to which values come; a clock that is moved by hand."""

    def __init__(self, path):
        self.path = path
        self.now = utc_now()

    def write(self, tag, seconds, *, column="value", quiet=False):
        file = self.path / f"{tag}.csv"
        new = not file.exists()
        with file.open("a") as stream:
            if new:
                stream.write(f"ts,{column}\n")
            for second in seconds:
                moment = START + timedelta(seconds=second)
                stream.write(f"{moment:%Y-%m-%d %H:%M:%S.%f},{second + len(tag) / 10}\n")
        old = time.time() - (3600 if quiet else 0)
        os.utime(file, (old, old))

    def source(self, **more):
        settings = CsvSource(path=self.path / "*.csv", time="ts", **{"join": "time", **more})
        return open_replayable(settings, clock=lambda: self.now)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def seconds(read) -> list[float]:
    begin = np.datetime64(START.replace(tzinfo=None), "us")
    return ((read.frame.times - begin) / np.timedelta64(1, "s")).tolist()


def test_values_of_one_time_are_one_record_and_what_a_file_lacks_is_missing(folder):
    folder.write("flow", [0, 1, 2, 4], quiet=True)
    folder.write("pressure", [1, 2, 3, 4], quiet=True)
    source = folder.source()
    read = Reader(source).after(None, 100)
    assert seconds(read) == [0, 1, 2, 3, 4]
    assert list(read.frame.values.columns) == ["flow", "pressure"]
    assert read.frame.values["flow"].isna().tolist() == [False, False, False, True, False]
    assert read.frame.values["pressure"].tolist()[1:] == [1.8, 2.8, 3.8, 4.8]
    assert read.frame.keys[0] == "2026-03-01T00:00:00Z"
    assert not read.more
    assert source.count(3) == 3
    check_apart(source)


def test_a_record_waits_for_the_file_that_grows_later_and_no_longer_than_is_said(folder):
    folder.write("flow", range(10))
    folder.write("pressure", range(6))
    source = folder.source(join_wait=timedelta(minutes=5))
    reader = Reader(source)
    read = reader.after(None, 100)
    assert seconds(read) == [0, 1, 2, 3, 4, 5]
    assert read.warnings == (
        "pressure ends at 2026-03-01 00:00:05: records wait for this file (join_wait)",
    )
    # When it goes on, then the records are whole
    folder.write("pressure", range(6, 9))
    again = reader.after(read.watermark, 100)
    assert seconds(again) == [6, 7, 8]
    assert not again.frame.values.isna().any(axis=None)
    # When it stays away, then records come without it
    folder.now += timedelta(minutes=4)
    assert reader.after(again.watermark, 100).fetched == 0
    folder.now += timedelta(minutes=2)
    last = reader.after(again.watermark, 100)
    assert seconds(last) == [9]
    assert last.frame.values["pressure"].isna().all()
    # And what comes after that is told, and left
    folder.write("pressure", [9, 10])
    folder.write("flow", [10])
    late = reader.after(last.watermark, 100)
    assert seconds(late) == [10]
    assert any("pressure.csv: 1 values came too late" in told for told in late.warnings)


@pytest.mark.parametrize(("limit", "restart"), [(1, False), (7, False), (7, True), (1000, False)])
def test_whatever_the_pieces_every_record_comes_once(folder, limit, restart):
    rng = np.random.default_rng(limit)
    source, mark, got, there = folder.source(), None, [], set()
    for step in range(4):
        for tag in ("a", "bb", "ccc"):
            some = sorted(rng.choice(np.arange(10 * step, 10 * step + 10), 6, replace=False))
            there.update(map(int, some))
            folder.write(tag, map(int, some), quiet=step == 3)
        more = True
        while more:
            source = folder.source() if restart else source
            read = Reader(source).after(mark, limit)
            got += seconds(read)
            mark, more = read.watermark, read.more and read.fetched > 0
    assert got == sorted(there)


def test_the_newest_records_are_those_before_a_watermark(folder):
    folder.write("flow", range(50), quiet=True)
    folder.write("pressure", range(0, 50, 2), quiet=True)
    source = folder.source()
    reader = Reader(source)
    read = reader.after(None, 20)
    assert seconds(reader.newest(read.watermark, 5)) == [15, 16, 17, 18, 19]
    assert seconds(reader.newest(None, 3)) == [47, 48, 49]
    assert seconds(reader.after(read.watermark, 100)) == list(range(20, 50))


def test_files_with_times_of_their_own_are_joined_by_steps(folder):
    folder.write("flow", [0.1, 1.2, 10.3, 20.1, 31], quiet=True)
    folder.write("pressure", [2.5, 11.9, 24, 35], quiet=True)
    sparse = Reader(folder.source()).after(None, 100)
    assert any("join: 10s" in told for told in sparse.warnings)
    read = Reader(folder.source(join=timedelta(seconds=10))).after(None, 100)
    assert seconds(read) == [0, 10, 20, 30]
    assert read.frame.values["flow"].round(1).tolist() == [1.6, 10.7, 20.5, 31.4]
    assert not read.warnings
    # While files grow, a step that is not over waits
    for tag in ("flow", "pressure"):
        folder.write(tag, [36])
    assert seconds(Reader(folder.source(join=timedelta(seconds=10))).after(None, 100)) == [
        0,
        10,
        20,
    ]


def test_a_line_without_a_time_is_counted_once_and_a_slip_of_the_clock_hides_nothing(folder):
    folder.write("flow", [0, 1])
    with (folder.path / "flow.csv").open("a") as stream:
        stream.write("soon,5\n2099-01-01 00:00:00,7\n")
    folder.write("flow", [2], quiet=True)
    reader = Reader(folder.source())
    read = reader.after(None, 100)
    assert seconds(read) == [0, 1, 2]
    assert (read.frame.rejected, read.waiting) == ({"no_time": 1}, 1)
    assert "'soon'" in read.examples["no_time"]
    folder.write("flow", [3], quiet=True)
    later = reader.after(read.watermark, 100)
    assert (seconds(later), later.frame.rejected) == ([3], {})


def test_a_replaced_or_rotated_file_gives_no_record_twice(folder):
    folder.write("flow", range(20), quiet=True)
    folder.write("pressure", range(20), quiet=True)
    reader = Reader(folder.source())
    read = reader.after(None, 100)
    (folder.path / "flow.csv").unlink()
    folder.write("flow", range(10, 25), quiet=True)
    folder.write("pressure", range(20, 25), quiet=True)
    again = reader.after(read.watermark, 100)
    assert seconds(again) == [20, 21, 22, 23, 24]
    assert not again.frame.values.isna().any(axis=None)


def test_columns_are_named_by_what_says_most():
    assert column_names({"a/flow.csv": ["Value"], "p.csv": ["bar"], "q.csv": ["bar"]}) == {
        "a/flow.csv": {"Value": "a/flow"}, "p.csv": {"bar": "p"}, "q.csv": {"bar": "q"},
    }  # fmt: skip


def test_two_files_of_one_name_are_refused(folder):
    folder.write("flow", [0], quiet=True)
    folder.write("other", [0], column="flow", quiet=True)
    with pytest.raises(SourceConfigError, match="both make a column 'flow'"):
        Reader(folder.source()).after(None, 10)


def test_such_a_folder_is_refused_with_the_way_to_join_it(folder):
    for tag, column in (("flow", "value"), ("pressure", "value")):
        folder.write(tag, range(60), column=column)
    with pytest.raises(SourceConfigError, match="cover the same times") as raised:
        check_apart(folder.source(join=None))
    assert "join: time" in raised.value.todo


def test_times_are_rounded_down_before_1970_too():
    times = np.array(["1969-12-31T23:59:59", "NaT", "2026-01-01T00:00:09"], dtype="datetime64[us]")
    found = rounded_down(times, timedelta(seconds=10))
    assert [str(one)[:19] for one in found] == [
        "1969-12-31T23:59:50", "NaT", "2026-01-01T00:00:00",
    ]  # fmt: skip
    assert pd.isna(found[1])


@pytest.mark.parametrize("name", ["key", "entity"])
def test_a_record_of_joined_files_is_known_by_its_time_alone(name):
    with pytest.raises(ValidationError, match=f"have no {name}"):
        CsvSource.model_validate(
            {"kind": "csv", "path": "x", "time": "ts", "join": "1m", name: "id"}
        )


def test_a_source_that_joins_nothing_is_the_one_it_was_before_there_was_joining():
    """Else every watermark of a CSV file would be that of another source."""
    assert identity(CsvSource(path="x", time="ts")) == '{"kind":"csv","path":"x","time":"ts"}'
    joined = CsvSource.model_validate({"kind": "csv", "path": "x", "time": "ts", "join": "90s"})
    assert '"join":"1m30s"' in identity(joined)


@pytest.mark.parametrize("join", ["tme", True, "0s", 7])
def test_what_joins_nothing_is_refused_with_what_does(join):
    with pytest.raises(ValidationError, match="or time"):
        CsvSource.model_validate({"kind": "csv", "path": "x", "time": "ts", "join": join})
