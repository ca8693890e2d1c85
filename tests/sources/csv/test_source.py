import json
import logging
import os
import time
from dataclasses import replace

import pytest

from aemon.clock import utc_now
from aemon.errors import SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.sources.csv.settings import CsvSource
from aemon.sources.source_kinds import open_replayable


@pytest.fixture
def file(tmp_path):
    return tmp_path / "plant.csv"


def opened(path, **settings):
    return open_replayable(CsvSource(path=path, **({"time": "ts"} | settings)), clock=utc_now)


def keys(fetched):
    return list(fetched.table["file:line"])


def test_lines_are_numbered_as_an_editor_does(file):
    file.write_text("\nts,flow\n1,2\n\n3,4\n")
    assert keys(opened(file).fetch(None, 10)) == ["plant.csv:3", "plant.csv:5"]


def test_values_get_their_types(file):
    file.write_text("ts,id,n,x,b,s,e\n1,007,1,1.5,true,on,\n2,008,,NaN,false,NA,\n")
    source = opened(file, key="id")
    table = source.fetch(None, 10).table
    assert list(table["id"]) == ["007", "008"]
    assert [str(table[name].dtype) for name in "nxbe"] == ["float64", "float64", "bool", "float64"]
    assert list(table["s"].isna()) == [False, True]
    assert list(check_frame(table, source.roles).keys) == ["007", "008"]


def test_an_entity_may_be_called_na(file):
    file.write_text("ts,place\n1,NA\n2,\n")
    source = opened(file, entity="place")
    assert list(check_frame(source.fetch(None, 10).table, source.roles).entities) == ["NA", ""]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfts,flow\n1,2\n3,4\n",
        b"ts,flow\r\n1,2\r\n3,4\r\n",
        b"\n\nts,flow\n\n1,2\n  \n3,4\n\n",
        b'"ts","flow"\n"1","2"\n"3","4"\n',
        b" ts , flow\n1,2\n3,4\n",
    ],
    ids=["byte order mark", "windows", "blank lines", "quotes", "spaces"],
)
def test_the_usual_dialects_are_read(file, content):
    file.write_bytes(content)
    table = opened(file).fetch(None, 10).table
    assert list(table["ts"]) == ["1", "3"]
    assert list(table["flow"]) == [2, 4]


def test_quoted_fields_may_hold_separators_and_quotes(file):
    file.write_text('ts,note\n1,"a, ""b"""\n2,5" pipe\n')
    assert list(opened(file).fetch(None, 10).table["note"]) == ['a, "b"', '5" pipe']


def test_another_separator_is_configured(file):
    file.write_text("ts;flow\n1;2,5\n")
    assert list(opened(file, separator=";").fetch(None, 10).table["flow"]) == ["2,5"]


def test_a_line_that_is_being_written_is_left_for_later(file):
    file.write_text("ts,flow\n1,2\n3,")
    source = opened(file)
    first = source.fetch(None, 10)
    assert keys(first) == ["plant.csv:2"]
    assert source.count(10) == 1
    with file.open("a") as stream:
        stream.write("4\n")
    assert keys(source.fetch(first.watermark, 10)) == ["plant.csv:3"]


def test_a_header_that_is_being_written_is_waited_for(file):
    file.write_text("ts,fl")
    fetched = opened(file).fetch(None, 10)
    assert len(fetched.table) == 0
    assert fetched.watermark is None


@pytest.mark.parametrize(
    "line",
    ["2", "2,3,4", '2,"open', '2,"a"b'],
    ids=["few", "many", "open", "after"],
)
def test_a_line_that_does_not_fit_is_rejected_and_told(file, line, caplog):
    file.write_text(f"ts,flow\n1,2\n{line}\n3,4\n")
    source = opened(file)
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    assert list(frame.values["flow"]) == [2, 4]
    assert frame.rejected == {"no_time": line.count("\n") + 1}
    assert "plant.csv:3: 2 fields are expected" in caplog.text


def test_time_that_goes_backwards_is_read_in_the_order_of_the_file(file):
    file.write_text("ts,flow\n2020-01-03,1\n2020-01-01,2\n2020-01-02,3\n")
    source = opened(file)
    first = source.fetch(None, 1)
    assert list(source.fetch(first.watermark, 10).table["flow"]) == [2, 3]


def test_a_truncated_file_is_read_anew_with_other_keys(file, caplog):
    file.write_text("ts,flow\n1,2\n3,4\n")
    source = opened(file)
    mark = source.fetch(None, 10).watermark
    file.write_text("ts,flow\n5,6\n")
    with caplog.at_level(logging.WARNING):
        fetched = source.fetch(mark, 10)
    assert keys(fetched) == ["plant.csv#1:2"]
    assert "truncated or replaced" in caplog.text
    assert len(source.fetch(fetched.watermark, 10).table) == 0


def test_a_replaced_file_is_noticed_though_it_is_longer(file, caplog):
    file.write_text("ts,flow\n1,2\n3,4\n")
    source = opened(file)
    mark = source.fetch(None, 10).watermark
    file.write_text("ts,flow\n5,6\n7,8\n9,0\n")
    assert list(source.fetch(mark, 10).table["flow"]) == [6, 8, 0]


def test_a_folder_is_read_in_name_order_and_its_columns_are_joined(tmp_path):
    (tmp_path / "b.csv").write_text("ts,pressure\n3,30\n")
    (tmp_path / "a.csv").write_text("ts,flow\n1,10\n2,20\n")
    (tmp_path / "notes.txt").write_text("no records\n")
    source = opened(tmp_path)
    table = source.fetch(None, 10).table
    assert list(table["file:line"]) == ["a.csv:2", "a.csv:3", "b.csv:2"]
    assert list(table.columns) == ["ts", "flow", "file:line", "pressure"]
    assert str(table["flow"].dtype) == "float64"
    assert list(source.newest(None, 2).table["file:line"]) == ["a.csv:3", "b.csv:2"]


def test_the_limit_holds_across_files(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("ts\n1\n2\n")
    source = opened(tmp_path)
    first = source.fetch(None, 3)
    assert keys(first) == ["a.csv:2", "a.csv:3", "b.csv:2"]
    assert first.more
    second = source.fetch(first.watermark, 3)
    assert keys(second) == ["b.csv:3", "c.csv:2", "c.csv:3"]
    assert not second.more


def test_a_file_that_comes_early_in_the_alphabet_but_late_is_read_too(tmp_path):
    (tmp_path / "b.csv").write_text("ts\n1\n")
    source = opened(tmp_path)
    mark = source.fetch(None, 10).watermark
    (tmp_path / "a.csv").write_text("ts\n2\n")
    assert keys(source.fetch(mark, 10)) == ["a.csv:2"]


def test_an_empty_folder_is_an_empty_table(tmp_path):
    fetched = opened(tmp_path).fetch(None, 10)
    assert list(fetched.table.columns) == ["ts", "file:line"]
    assert len(fetched.table) == 0


def test_an_empty_file_is_an_empty_table(file):
    file.touch()
    assert len(opened(file).fetch(None, 10).table) == 0
    assert len(opened(file).newest(None, 10).table) == 0


def test_a_missing_file_may_still_come(file):
    source = opened(file)
    for call in (lambda: source.fetch(None, 1), lambda: source.count(1)):
        with pytest.raises(SourceError, match=r"plant\.csv: no such file or folder"):
            call()


@pytest.mark.parametrize("role", ["time", "key", "entity"])
def test_a_missing_column_is_told_with_those_that_are_there(file, role):
    file.write_text("ts,flow\n")
    with pytest.raises(
        SourceConfigError,
        match=r"plant\.csv: no column 'flw' .did you mean flow\? There are: flow, ts",
    ):
        opened(file, **{role: "flw"}).fetch(None, 1)


def test_a_wrong_separator_shows_in_the_message(file):
    file.write_text("ts;flow\n1;2\n")
    with pytest.raises(
        SourceConfigError,
        match=r"line 1 names this column, with .;. between the columns: set separator: .;.",
    ):
        opened(file).fetch(None, 1)


def test_two_columns_of_one_name_are_refused(file):
    file.write_text("ts,flow,flow\n")
    with pytest.raises(SourceConfigError, match="more than one column 'flow'"):
        opened(file).fetch(None, 1)


def test_a_separator_outside_of_ascii_is_refused(file):
    with pytest.raises(SourceConfigError, match="one ASCII character"):
        opened(file, separator="§")


def test_bytes_that_are_no_utf8_do_not_stop_the_reading(file):
    file.write_bytes(b"ts,name\n1,M\xfcller\n2,x\n")
    assert len(opened(file).fetch(None, 10).table) == 2


def times(source, limit=100):
    fetched = source.fetch(None, limit)
    return [str(time) for time in check_frame(fetched.table, source.roles).times.astype("M8[m]")]


def test_the_order_of_day_and_month_is_found_from_the_whole_file(file):
    days = [f"{day:02}.11.2025 10:00" for day in range(1, 15)]
    file.write_text("ts,flow\n" + "".join(f"{day},1\n" for day in days))
    assert times(opened(file), limit=2) == ["2025-11-01T10:00", "2025-11-02T10:00"]
    file.write_text("ts,flow\n" + "".join(f"{day},1\n" for day in days[:12]))
    with pytest.raises(
        SourceConfigError, match=r"'01.11.2025 10:00' may be 2025-01-11 or 2025-11"
    ) as told:
        opened(file).fetch(None, 2)
    assert told.value.todo == "set time_format: '%d.%m.%Y %H:%M' or '%m.%d.%Y %H:%M'"
    assert times(opened(file, time_format="%d.%m.%Y %H:%M"), limit=1) == ["2025-11-01T10:00"]


def test_an_order_that_was_found_holds(file):
    file.write_text("ts,flow\n13.11.2025 10:00,1\n")
    source = opened(file)
    first = source.fetch(None, 10)
    file.write_text("ts,flow\n13.11.2025 10:00,1\n02.12.2025 10:00,1\n12.13.2025 10:00,1\n")
    frame = check_frame(source.fetch(first.watermark, 10).table, source.roles)
    assert [str(time) for time in frame.times.astype("M8[D]")] == ["2025-12-02"]
    assert frame.rejected == {"no_time": 1}


@pytest.mark.parametrize("join", [None, "time"])
def test_an_order_that_was_found_outlives_the_daemon_and_the_records_that_showed_it(file, join):
    """Given a window that has moved on to days of which any order could be read."""
    file.write_text("ts,flow\n30.11.2025 10:00,1\n01.12.2025 10:00,2\n")
    long_ago = time.time() - 3600
    os.utime(file, (long_ago, long_ago))
    first = opened(file, join=join).fetch(None, 10)
    assert len(first.table) == 2
    file.write_text("ts,flow\n01.12.2025 10:00,2\n02.12.2025 10:00,3\n03.12.2025 10:00,4\n")
    os.utime(file, (long_ago, long_ago))
    again = opened(file, join=join)
    then = again.fetch(first.watermark, 10)
    found = [str(one) for one in then.times.astype("M8[D]")]
    assert found == ["2025-12-02", "2025-12-03"]
    assert [*again.newest(then.watermark, 1).times.astype("M8[D]").astype(str)] == ["2025-12-03"]
    # By themselves they are refused, not guessed at
    with pytest.raises(SourceConfigError, match="no other record shows which"):
        opened(file, join=join).fetch(None, 10)


def test_a_tail_of_a_file_is_read_in_the_order_that_its_beginning_shows(file):
    file.write_text("ts,flow\n30.11.2025 10:00,1\n" + "02.12.2025 10:00,1\n" * 3)
    first = opened(file).fetch(None, 1)
    old = replace(first.watermark, position=_without_order(first.watermark.position))
    assert old != first.watermark
    for mark in (first.watermark, old):
        then = opened(file).fetch(mark, 10)
        assert {str(one) for one in then.times.astype("M8[D]")} == {"2025-12-02"}


def _without_order(position: str) -> str:
    """The position as an older aemon has written it."""
    return json.dumps(
        {name: place for name, place in json.loads(position).items() if name[0] != "/"}
    )


def test_one_slip_of_a_date_does_not_make_an_order(file):
    file.write_text("ts,flow\n05.11.2025,1\n" + "2025-11-05 10:00,1\n" * 9)
    source = opened(file)
    assert check_frame(source.fetch(None, 10).table, source.roles).rejected == {"no_time": 1}


def test_a_date_and_its_time_of_day_may_be_two_columns(file):
    file.write_text("Date,flow,Time\n17.11.2025,1,01:00:00 PM\n17.11.2025,2,\n,3,02:00:00 PM\n")
    source = opened(file, time=["Date", "Time"])
    fetched = source.fetch(None, 10)
    frame = check_frame(fetched.table, source.roles)
    assert [str(time) for time in frame.times.astype("M8[m]")] == ["2025-11-17T13:00"]
    assert (list(frame.values), frame.rejected) == (["flow"], {"no_time": 2})


def test_dates_alone_beside_times_of_day_are_refused(file):
    rows = "".join(f"2025-11-17,1{hour}:00:00,1\n" for hour in range(3))
    file.write_text("Date,Time,flow\n" + rows)
    with pytest.raises(SourceConfigError, match="10:00:00") as told:
        opened(file, time="Date").fetch(None, 10)
    assert told.value.todo == "write time: [Date, Time]"


def test_a_date_that_comes_once_needs_no_time_of_day(file):
    rows = "".join(f"2025-11-1{day},06:0{day},1\n" for day in range(3))
    file.write_text("day,sunrise,flow\n" + rows)
    assert times(opened(file, time="day"))[0] == "2025-11-10T00:00"
