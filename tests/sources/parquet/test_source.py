"""Parquet files as a source: what grows, is replaced, renamed, damaged, or of another schema."""

import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aemon.errors import SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.sources.parquet.opening import open_files
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.source_kinds import open_replayable
from aemon.testing.source_worlds import all_keys

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def opened(path, **settings):
    chosen = ParquetSource(path=path, **({"time": "ts"} | settings))
    return open_replayable(chosen, clock=lambda: BEGIN)


def records(count, first=0, **more):
    """A table of one record a minute."""
    at = [BEGIN + timedelta(minutes=n) for n in range(first, first + count)]
    flow = [float(n) for n in range(first, first + count)]
    return pa.table({"ts": pa.array(at, pa.timestamp("us", "UTC")), "flow": flow} | more)


def write(path, table, **how):
    """Write a file under another name and put it into its place, as writers should."""
    new = path.with_name("new.tmp")
    pq.write_table(table, new, **how)
    new.replace(path)


class Follower:
    """Reads what is new, again and again, as a monitor does."""

    def __init__(self, path, **settings):
        self.source = opened(path, **settings)
        self.mark = None

    def read(self, limit=1000):
        fetched = self.source.fetch(self.mark, limit)
        self.mark = fetched.watermark
        self.warnings = fetched.warnings
        return fetched.table

    def flows(self, limit=1000):
        return self.read(limit)["flow"].tolist()


def test_the_types_of_columns_are_read_as_other_sources_read_them(tmp_path):
    at = [datetime(2026, 3, 1, 10, tzinfo=UTC), None]
    table = pa.table(
        {
            "ts": pa.array([at[0], at[0] + timedelta(seconds=1)], pa.timestamp("ns", "Asia/Tokyo")),
            "decimal": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
            "valve": pa.array(["open", None]).dictionary_encode(),
            "on": pa.array([True, None]),
            "nothing": pa.nulls(2),
            "count": pa.array([2**53 + 1, None], pa.int64()),
            "half": pa.array(np.array([0.5, 2], np.float16)),
            "lasted": pa.array([timedelta(milliseconds=1500), None], pa.duration("ms")),
            "raw": pa.array([b"text", b"\xff"], pa.binary()),
            "day": pa.array([date(2026, 3, 1), None]),
            "motor": pa.array([{"current": 1.5, "x": {"y": 2}}, None]),
            "list": pa.array([[1], [2]]),
        }
    )
    write(tmp_path / "a.parquet", table)
    source = opened(tmp_path, key="count")
    fetched = source.fetch(None, 10)
    (note,) = fetched.warnings
    assert note == "columns with lists or maps are not read: list"
    frame = check_frame(fetched.table, source.roles, fetched.times)
    assert frame.rejected == {"no_key": 1}
    assert frame.keys.tolist() == [str(2**53 + 1)]  # digit by digit
    assert frame.times[0] == np.datetime64("2026-03-01T10:00:00", "us")
    row = frame.values.iloc[0].to_dict()
    assert row == {
        "decimal": 1.25, "valve": "open", "on": True, "nothing": pytest.approx(np.nan, nan_ok=True),
        "half": 0.5, "lasted": 1.5, "raw": "text", "day": date(2026, 3, 1), "motor.current": 1.5,
        "motor.x.y": 2,
    }  # fmt: skip
    assert fetched.table["raw"][1] == "\\xff"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit_are_read_in_utc_and_without_zone_in_that_of_the_source(tmp_path, unit):
    local = [datetime.fromisoformat(f"2026-07-01T{hour}:00:00") for hour in (12, 13)]
    write(
        tmp_path / "a.parquet", pa.table({"ts": pa.array(local, pa.timestamp(unit)), "v": [1, 2]})
    )
    fetched = opened(tmp_path / "a.parquet", timezone="Europe/Berlin").fetch(None, 10)
    assert fetched.watermark.event_time == datetime(2026, 7, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "settings"),
    [
        (["2026-03-01 10:00:00", "2026-03-01 10:01:00"], {}),
        (["01.03.2026 10:00", "01.03.2026 10:01"], {"time_format": "%d.%m.%Y %H:%M"}),
        ([1772359200, 1772359260], {}),
    ],
)
def test_times_may_be_text_or_numbers(tmp_path, times, settings):
    write(tmp_path / "a.parquet", pa.table({"ts": times, "v": [1, 2]}))
    fetched = opened(tmp_path, **settings).fetch(None, 10)
    assert fetched.watermark.event_time == datetime(2026, 3, 1, 10, 1, tzinfo=UTC)


def test_the_order_of_day_and_month_is_found_once_and_kept(tmp_path):
    write(tmp_path / "a.parquet", pa.table({"ts": ["05/03/2026 10:00", "13/03/2026 10:00"]}))
    mark = opened(tmp_path).fetch(None, 10).watermark
    write(tmp_path / "b.parquet", pa.table({"ts": ["01/04/2026 10:00"]}))
    later = opened(tmp_path).fetch(mark, 10)
    assert later.watermark.event_time == datetime(2026, 4, 1, 10, tzinfo=UTC)


def test_date_and_time_of_day_may_stand_apart(tmp_path):
    days = [date(2026, 3, 1)] * 2
    table = pa.table({"day": days, "at": [time(10), time(10, 0, 1)], "v": [1, 2]})
    write(tmp_path / "a.parquet", table)
    fetched = opened(tmp_path, time=("day", "at")).fetch(None, 10)
    assert fetched.watermark.event_time == datetime(2026, 3, 1, 10, 0, 1, tzinfo=UTC)
    assert fetched.table.columns.tolist() == ["day at", "v", "file:row"]


def test_only_the_columns_that_are_chosen_are_read(tmp_path):
    wide = {f"c{n}": [float(n)] * 3 for n in range(20)}
    write(tmp_path / "a.parquet", records(3, **wide))
    table = opened(tmp_path, columns=("c7",)).fetch(None, 10).table
    assert table.columns.tolist() == ["ts", "c7", "file:row"]
    with pytest.raises(SourceConfigError, match="no file has a column 'c77'") as caught:
        opened(tmp_path, columns=("c77",)).fetch(None, 10)
    assert "did you mean c7" in caught.value.todo


def test_files_of_other_columns_and_types_are_read_by_name(tmp_path):
    write(tmp_path / "a.parquet", records(2, old=[1, 2]))
    write(tmp_path / "b.parquet", records(2, first=2, new=["x", "y"]).select(["new", "flow", "ts"]))
    days = pa.array([BEGIN.replace(tzinfo=None) + timedelta(days=1)], pa.timestamp("ms"))
    write(tmp_path / "c.parquet", pa.table({"ts": days, "flow": pa.array([7], pa.int32())}))
    table = opened(tmp_path).fetch(None, 10).table
    assert table["flow"].tolist() == [0, 1, 2, 3, 7]
    assert table["old"].isna().tolist() == [False, False, True, True, True]
    assert table["new"].tolist()[2:4] == ["x", "y"]
    frame = check_frame(table, opened(tmp_path).roles)
    assert frame.rejected == {}
    assert frame.times[-1] == np.datetime64("2026-03-02T00:00:00", "us")


def test_a_file_without_the_column_of_times_is_refused_and_the_nearest_named(tmp_path):
    write(tmp_path / "a.parquet", records(2).rename_columns(["tss", "flow"]))
    with pytest.raises(SourceConfigError, match="no column 'ts'") as caught:
        opened(tmp_path).fetch(None, 10)
    assert "did you mean tss?" in caught.value.todo


def test_a_file_that_is_being_written_waits_and_is_told_while_others_are_read(tmp_path):
    write(tmp_path / "a.parquet", records(2))
    whole = (tmp_path / "a.parquet").read_bytes()
    write(tmp_path / "c.parquet", records(2, first=4))
    write(tmp_path / "b.parquet", records(2, first=2))
    complete = (tmp_path / "b.parquet").read_bytes()
    for part in (b"", complete[:3], complete[:100], complete[:-1]):
        (tmp_path / "b.parquet").write_bytes(part)
        follower = Follower(tmp_path)
        assert follower.flows() == [0, 1, 4, 5]
        assert "still being written, or damaged" in follower.warnings[0]
    (tmp_path / "b.parquet").write_bytes(complete)
    assert follower.flows() == [2, 3]
    alone = opened(tmp_path / "d.parquet")
    (tmp_path / "d.parquet").write_bytes(whole[:-1])
    with pytest.raises(SourceError, match="still being written"):
        alone.fetch(None, 10)


def test_a_damaged_file_waits_and_is_told_while_others_are_read(tmp_path):
    write(tmp_path / "a.parquet", records(5000), compression="zstd")
    write(tmp_path / "b.parquet", records(2, first=5000))
    damaged = bytearray((tmp_path / "a.parquet").read_bytes())
    damaged[50:2000] = bytes(1950)
    (tmp_path / "a.parquet").write_bytes(damaged)
    follower = Follower(tmp_path)
    assert follower.flows() == [5000, 5001]
    assert "cannot be read as Parquet, or not yet" in follower.warnings[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"ts,flow\n1,2\n", "is not a Parquet file"), (b"PARE" + bytes(50), "is encrypted")],
)
def test_what_is_no_parquet_is_refused(tmp_path, content, told):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceConfigError, match=told):
        opened(tmp_path).fetch(None, 10)


def test_a_file_that_is_replaced_by_a_longer_one_is_read_on(tmp_path):
    follower = Follower(tmp_path / "a.parquet")
    for count in (3, 5, 5, 9):
        write(tmp_path / "a.parquet", records(count), compression="zstd")
        before = 0 if follower.mark is None else int(follower.read(0).shape[0])
        assert before == 0
        follower.flows()
    assert follower.mark.record_key == "a.parquet:9"
    mark = follower.mark
    newest = follower.source.newest(mark, 4).table["flow"].tolist()
    assert newest == [5, 6, 7, 8]
    write(tmp_path / "a.parquet", records(12))
    assert follower.source.newest(mark, 4).table["flow"].tolist() == newest  # still up to there
    assert follower.flows() == [9, 10, 11]


def test_a_file_of_the_newest_rows_alone_is_read_on_and_keys_go_on(tmp_path):
    follower = Follower(tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", records(10))
    follower.read()
    write(tmp_path / "a.parquet", records(10, first=4))
    assert follower.read()["file:row"].tolist() == [f"a.parquet:{n}" for n in range(11, 15)]


def test_a_file_that_is_replaced_by_later_records_is_read_from_its_beginning(tmp_path):
    follower = Follower(tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", records(3))
    follower.read()
    write(tmp_path / "a.parquet", records(2, first=3))
    assert follower.read()["file:row"].tolist() == ["a.parquet#1:1", "a.parquet#1:2"]
    assert "was replaced" in follower.warnings[0]


@pytest.mark.parametrize("first", [0, 1])
def test_a_file_whose_records_may_be_known_is_refused_without_a_key(tmp_path, first):
    follower = Follower(tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", records(3, id=["a", "b", "c"]))
    follower.read()
    other = records(3, first=first, flow=[7.0, 8.0, 9.0], id=["c", "d", "e"])
    keyed = Follower(tmp_path / "a.parquet", key="id")
    keyed.read()
    write(tmp_path / "a.parquet", other)
    with pytest.raises(SourceConfigError, match="was replaced") as caught:
        follower.read()
    assert "key: NAME" in caught.value.todo
    assert keyed.read()["id"].tolist() == ["c", "d", "e"]


def test_a_renamed_file_is_known_and_a_copy_is_not_read(tmp_path):
    follower = Follower(tmp_path)
    write(tmp_path / "b.parquet", records(6))
    assert follower.flows(4) == [0, 1, 2, 3]
    (tmp_path / "b.parquet").rename(tmp_path / "c.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "c.parquet").read_bytes())
    table = follower.read()
    assert table["flow"].tolist() == [4, 5]
    assert table["file:row"].tolist() == ["b.parquet:5", "b.parquet:6"]
    assert follower.flows() == []
    assert follower.source.count(100) == 6


def test_files_that_are_rotated_are_read_to_their_end_and_the_new_one_from_its_beginning(tmp_path):
    follower, read = Follower(tmp_path), []
    for turn in range(3):
        for old in range(turn, 0, -1):
            newer = tmp_path / (f"now.{old - 1}.parquet" if old > 1 else "now.parquet")
            newer.rename(tmp_path / f"now.{old}.parquet")
        write(tmp_path / "now.parquet", records(6, first=6 * turn))
        read += follower.flows(4)
    assert read + follower.flows() == list(range(18))
    assert follower.mark.record_key == "now.parquet#2:6"


def test_rows_are_the_same_in_whatever_pieces_and_row_groups_they_are_read(tmp_path):
    for number, size in enumerate((1, 7, 100)):
        table = records(100, first=100 * number)
        write(tmp_path / f"{number}.parquet", table, row_group_size=size, compression="gzip")
    whole = all_keys(opened(tmp_path), 1000)
    assert len(set(whole)) == 300
    assert [all_keys(opened(tmp_path), limit) for limit in (13, 50)] == [whole, whole]


def test_the_name_of_a_file_or_its_folder_says_the_entity(tmp_path):
    for pump in ("p1", "p2"):
        (tmp_path / f"pump={pump}").mkdir()
        write(tmp_path / f"pump={pump}" / "part-0.parquet", records(5))  # alike
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "part-1.parquet").write_bytes(b"PAR1")
    source = opened(tmp_path / "**" / "*.parquet", entity={"from_path": "pump=([^/]+)"})
    table = source.fetch(None, 4).table
    assert sorted(table["file:entity"]) == ["p1", "p1", "p2", "p2"]
    assert len(all_keys(source, 3)) == 10


def test_a_file_that_is_named_is_read_whatever_its_name(tmp_path):
    write(tmp_path / "_a.parquet", records(2))
    assert len(opened(tmp_path / "_a.parquet").fetch(None, 10).table) == 2
    assert len(opened(tmp_path).fetch(None, 10).table) == 0


def test_files_of_the_same_times_that_nothing_tells_apart_are_refused(tmp_path):
    write(tmp_path / "a.parquet", records(100, id=[*range(100)]))
    write(tmp_path / "b.parquet", records(100, flow=[7.0] * 100, id=[*range(100)]))
    with pytest.raises(SourceConfigError, match="cover the same times") as caught:
        opened(tmp_path).check_apart()
    assert ".parquet" in caught.value.todo
    assert "join" not in caught.value.todo
    opened(tmp_path, key="id").check_apart()


def test_rows_out_of_order_are_told(tmp_path):
    write(tmp_path / "a.parquet", records(10).take([0, 5, 1, 2, 3, 4, 6, 9, 7, 8]))
    follower = Follower(tmp_path)
    assert len(follower.read()) == 10
    assert "2 of 10 rows are earlier than the row before" in follower.warnings[0]


def test_times_that_are_missing_are_rejected_and_hide_nothing(tmp_path):
    at = pa.array([BEGIN, None, BEGIN + timedelta(seconds=5)], pa.timestamp("us", "UTC"))
    write(tmp_path / "a.parquet", pa.table({"ts": at, "flow": [1, 2, 3]}))
    source = opened(tmp_path)
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    assert (len(frame), frame.rejected) == (2, {"no_time": 1})


def test_names_may_be_anything(tmp_path):
    odd = ["the time", 'quo"te', "select", "ü.x", "new\nline"]
    table = records(2, a=[1, 2], b=[1, 2], c=[1, 2]).rename_columns(odd)
    write(tmp_path / "päth [1].parquet", table)
    found = opened(tmp_path, time="the time").fetch(None, 10).table
    assert found.columns.tolist()[:5] == odd


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SourceConfigError, match="needs pyarrow") as caught:
        open_files(ParquetSource(path=tmp_path, time="ts"), lambda: BEGIN)
    assert caught.value.todo == "pip install 'aemon[parquet]'"


def test_a_position_that_aemon_did_not_write_is_not_recognised(tmp_path):
    source = opened(tmp_path)
    write(tmp_path / "a.parquet", records(2))
    mark = source.fetch(None, 10).watermark
    assert source.recognises(mark)
    for position in ('{"a.csv": [1, 2]}', "soon", "[]", '{"parquet": {"a": ["x"]}}', "[" * 9999):
        assert not source.recognises(type(mark)(event_time=None, record_key="", position=position))


def test_the_memory_of_a_read_is_bounded_by_its_pieces(tmp_path):
    count = 400_000
    columns = {f"c{n}": np.random.default_rng(n).normal(size=count) for n in range(10)}
    at = pd.date_range(BEGIN, periods=count, freq="s")
    pq.write_table(pa.table({"ts": at, **columns}), tmp_path / "a.parquet")
    source = opened(tmp_path)
    source.fetch(None, 10)
    before = pa.total_allocated_bytes()
    mark, read, most = None, 0, 0
    while True:
        fetched = source.fetch(mark, 10_000)
        mark, read = fetched.watermark, read + len(fetched.table)
        most = max(most, pa.total_allocated_bytes() - before)
        if not fetched.more:
            break
    assert read == count
    assert most < 24e6  # 35 MB are in the file
