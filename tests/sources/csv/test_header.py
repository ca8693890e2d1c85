import pytest

from aemon.errors import SourceConfigError
from tests.sources.csv.csv_worlds import HEADER, Follower, content, opened

TOA5 = """"TOA5","CR1000","CR1000","12345","CR1000.Std.31","CPU:pump.CR1","2345","Min1"
"TIMESTAMP","RECORD","flow"
"TS","RN","m3/h"
"","","Avg"
"2026-03-01 00:00:00",0,20.5
"2026-03-01 00:01:00",1,21.5
"""
ANNOTATED = """#group,false,false,true,false
#datatype,string,long,dateTime:RFC3339,double
#default,_result,,,
,result,table,_time,flow
,,0,2026-03-01T00:00:00Z,20.5
,,0,2026-03-01T00:01:00Z,21.5

#group,false,false,true,false
#datatype,string,long,dateTime:RFC3339,double
#default,_result,,,
,result,table,_time,flow
,,1,2026-03-01T00:02:00Z,22.5
"""


@pytest.mark.parametrize(
    ("text", "time", "flows"),
    [
        (TOA5, "TIMESTAMP", [20.5, 21.5]),
        (ANNOTATED, "_time", [20.5, 21.5, 22.5]),
        ("sep=;\nts;flow\n1;20,5\n", "ts", ["20,5"]),
        ("# plant 7\n# made by hand\nts,flow\n1,20\n# stopped\n2,21\n", "ts", [20, 21]),
        ("# ts,flow\n1,20\n2,21\n", "ts", [20, 21]),
        ("Plant 7\n\nExported: 2026-03-01,by nobody\nts,flow\n1,20\n", "ts", [20]),
        ("ts,flow\ns,m3/h\n1,20\n", "ts", [20]),
    ],
    ids=["toa5", "annotated", "sep", "remarks", "remarked header", "preamble", "units"],
)
def test_what_stands_around_the_header_is_no_record(tmp_path, text, time, flows):
    (tmp_path / "plant.csv").write_text(text)
    plant = Follower(tmp_path / "plant.csv", time=time)
    assert plant.read(limit=1) == flows
    assert plant.warnings == []
    table = opened(tmp_path / "plant.csv", time=time).fetch(None, 9).table
    assert list(table["flow"]) == flows


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("# plant 7\n# ts  flow\n1    20\n2 21\n", ["ts", "flow"]),
        ("#  ts flow\n1 1 20\n2 2 21\n", ["#", "ts", "flow"]),
        ("# ts flow\n", ["#", "ts", "flow"]),
    ],
    ids=["mark", "column", "not yet known"],
)
def test_a_lone_hash_before_names_is_a_column_if_the_records_have_it(tmp_path, text, columns):
    (tmp_path / "plant.txt").write_text(text)
    table = opened(tmp_path / "plant.txt", separator="blanks").fetch(None, 9).table
    assert list(table.columns) == [*columns, "file:line"]
    assert table["flow"].tolist() == [20, 21][: len(table)]


@pytest.mark.parametrize("separator", [",", ";", " ", "blanks"])
def test_a_marked_header_may_be_repeated(tmp_path, separator):
    mark = " " if separator == "blanks" else separator
    file, part = tmp_path / "plant.log", "# ts,flow,pressure\n1,20,3\n2,21,3\n".replace(",", mark)
    file.write_text(part)
    plant = Follower(file, separator=separator)
    found = plant.read(limit=1)
    file.write_text(part * 2)
    found += plant.read(limit=1)
    file.write_text(part * 2 + "3,22,3\n".replace(",", mark))
    assert found + plant.read() == [20, 21, 20, 21, 22]
    assert plant.keys[-1] == "plant.log:7"
    assert plant.warnings == []


def test_the_line_of_the_header_may_be_named(tmp_path):
    (tmp_path / "plant.csv").write_text("ts,flow\nts,pressure\n1,20\n")
    table = opened(tmp_path / "plant.csv", header_line=2).fetch(None, 9).table
    assert list(table.columns) == ["ts", "pressure", "file:line"]
    assert list(table["file:line"]) == ["plant.csv:3"]


def test_a_header_that_is_not_found_is_told_with_the_setting(tmp_path):
    (tmp_path / "plant.csv").write_text("a,b,b\n1,2,3\n")
    with pytest.raises(SourceConfigError, match=r"more than one column 'b'.*header_line: NUMBER"):
        opened(tmp_path / "plant.csv").fetch(None, 1)
    with pytest.raises(SourceConfigError, match=r"no column 'ts'.*line 2.*header_line: NUMBER"):
        opened(tmp_path / "plant.csv", header_line=2).fetch(None, 1)


PREAMBLE = "Station: South, pump 7\nExported 17.11.2025\n\n"


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        (PREAMBLE + "ts;flow\n1;20,5\n", {}, r"line 4 names this column.*separator: ';'"),
        (PREAMBLE + "ts\tflow\n1\t20\n", {}, r'line 4 names this column.*separator: "\\t"'),
        (
            PREAMBLE + "ts,flow\n1,20\n",
            {"separator": ";"},
            r"line 4 names this column.*separator: ','",
        ),
        (
            PREAMBLE + "ts,flow\n1,20\n",
            {"header_line": 2},
            r"line 4 names this column: set header_line: 4\)$",
        ),
        (PREAMBLE + "ts;flow\n1;20\n", {"time": "tss"}, r"no column 'tss'.*taken from line 1"),
    ],
    ids=["semicolon", "tab", "comma", "line", "nowhere"],
)
def test_a_separator_that_would_show_the_names_is_told(tmp_path, text, settings, told):
    (tmp_path / "plant.csv").write_text(text)
    with pytest.raises(SourceConfigError, match=told):
        opened(tmp_path / "plant.csv", **settings).fetch(None, 1)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (HEADER, "2026-03-02,100,7"),
        ("pressure,ts,flow", "7,2026-03-02,100"),
        ("ts,flow,pressure,level", "2026-03-02,100,7,1"),
        ("ts,flow", "2026-03-02,100"),
        ("level1,ts,flow", "1,2026-03-02,100"),
        ('"ts","flow"', "2026-03-02,100"),
        ("Pressure,TS,Flow", "7,2026-03-02,100"),
        ("# pressure,ts,flow", "7,2026-03-02,100"),
    ],
    ids=["same", "order", "more", "fewer", "others", "quoted", "capitals", "marked"],
)
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_values_go_by_name_below_a_repeated_header(tmp_path, header, line, limit):
    file = tmp_path / "plant.csv"
    file.write_text(content(3))
    plant = Follower(file)
    plant.read(limit)
    with file.open("a") as stream:
        stream.write("\n".join([header, line, line.replace("100", "200"), ""]))
    assert plant.read(limit) == [100, 200]
    assert plant.warnings == []
    with file.open("a") as stream:
        stream.write(line.replace("100", "300") + "\n")
    assert plant.read(limit) == [300]
    assert opened(file).count(100) == 6
    newest = plant.source.newest(plant.mark, 4).table
    assert list(newest["flow"]) == [2, 100, 200, 300]
    if "pressure" in header:
        assert list(newest["pressure"]) == [4, 7, 7, 7]


def test_a_place_of_an_older_version_finds_the_header_above_it(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_text("\n".join([*content(2).split("\n")[:-1], "flow,ts", "7,2026-03-02", ""]))
    plant = Follower(file)
    plant.read()
    position = plant.source.fetch(None, 9).watermark.position
    import json
    from dataclasses import replace

    old = {name: place[:4] for name, place in json.loads(position).items()}
    plant.mark = replace(plant.mark, position=json.dumps(old))
    with file.open("a") as stream:
        stream.write("8,2026-03-03\n")
    assert plant.read() == [8]


@pytest.mark.parametrize(
    ("header", "line"),
    [("ts,flow", "1,2,"), ("ts,flow", "1,2,,"), ("ts,flow,", "1,2"), ("ts,flow,", "1,2,")],
)
def test_separators_at_line_ends_make_no_difference(tmp_path, header, line):
    (tmp_path / "plant.csv").write_text(f"{header}\n{line}\n")
    plant = Follower(tmp_path / "plant.csv")
    assert plant.read() == [2]
    assert plant.warnings == []


def test_a_field_too_many_is_told_with_the_line(tmp_path):
    (tmp_path / "plant.csv").write_text("ts,flow\n1,2\n2,20,5\n")
    fetched = opened(tmp_path / "plant.csv").fetch(None, 9)
    (told,) = fetched.warnings
    assert told.endswith(
        "plant.csv:3: 2 fields are expected and 3 found: '2,20,5'; 1 such line rejected"
    )


def test_blanks_may_separate(tmp_path):
    text = '  ts    flow   note\n 1     20    "a  b"\n 2\t21   x\n'
    (tmp_path / "plant.csv").write_text(text)
    table = opened(tmp_path / "plant.csv", separator="blanks").fetch(None, 9).table
    assert list(table["flow"]) == [20, 21]
    assert list(table["note"]) == ["a  b", "x"]


def test_names_below_each_other_show_that_blanks_separate(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_text("ts   flow  note\n1      20  x\n2       5  y\n")
    assert Follower(file, separator=" ").read() == [20, 5]
    with pytest.raises(SourceConfigError, match="separator: blanks"):
        opened(file).fetch(None, 1)
    file.write_text("ts flow note\n1     20  x\n")
    (told,) = opened(file, separator=" ").fetch(None, 1).warnings
    assert "separator: blanks" in told


def test_one_blank_is_a_separator_like_any_other(tmp_path):
    (tmp_path / "plant.csv").write_text("ts flow note\n1  x\n")
    table = opened(tmp_path / "plant.csv", separator=" ").fetch(None, 9).table
    assert list(table["flow"].isna()) == [True]


def test_a_line_break_within_quotes_ends_no_record(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_text('ts,flow,note\n1,2,"first\n\nsecond, with a comma"\n2,3,\n4,5,"still')
    plant = Follower(file)
    assert plant.read(limit=1) == [2, 3]
    assert plant.keys == ["plant.csv:2", "plant.csv:5"]
    with file.open("a") as stream:
        stream.write(' open\nand closed"\n6,7,\n')
    assert plant.read() == [5, 7]
    assert plant.keys[2:] == ["plant.csv:6", "plant.csv:8"]
    notes = opened(file).fetch(None, 9).table["note"]
    assert notes[0] == "first\n\nsecond, with a comma"


def test_a_quote_that_nothing_closes_costs_its_own_line_alone(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_text('ts,flow\n1,2\n2,"3\n' + "\n".join(f"{n},{n}" for n in range(3, 300)) + "\n")
    plant = Follower(file)
    found = plant.read()
    assert len(found) == 299
    assert "plant.csv:3: 2 fields are expected, and a quote is not closed" in plant.warnings[0]


@pytest.mark.parametrize("header", ["TS,Pressure,FLOW", '"Ts","PRESSURE","Flow"'])
def test_a_repeated_header_may_be_spelt_in_capitals(tmp_path, header):
    (tmp_path / "plant.csv").write_text(content(2) + f"{header}\n2026-03-02,7,100\n")
    assert Follower(tmp_path / "plant.csv").read() == [0, 1, 100]


@pytest.mark.parametrize(
    ("header", "told"),
    [("zeit,pressure,flow", "without 'ts'"), ("ts,flow,flow,pressure", "with a name twice")],
)
def test_a_header_without_the_time_ends_what_can_be_read(tmp_path, header, told):
    file = tmp_path / "plant.csv"
    file.write_text(content(2) + f"{header}\n2026-03-02,7,100\n")
    plant = Follower(file)
    assert plant.read() == [0, 1]
    with file.open("a") as stream:
        stream.write("2026-03-03,7,100\n")
    with pytest.raises(SourceConfigError, match=rf"plant\.csv: line 4 is a new header, {told}"):
        plant.read()


def test_a_category_with_the_name_of_a_column_makes_no_header(tmp_path):
    (tmp_path / "plant.csv").write_text("mode,ts,flow\nflow,1,2\nts,2,3\nmode,3,4\n")
    assert Follower(tmp_path / "plant.csv").read() == [2, 3, 4]


@pytest.mark.parametrize(("mark", "told"), [(";", "';'"), ("\t", r'"\\t"'), ("|", r"'\|'")])
def test_another_separator_is_proposed(tmp_path, mark, told):
    (tmp_path / "plant.csv").write_text("ts;flow\n1;2\n".replace(";", mark))
    with pytest.raises(SourceConfigError, match=f"separator: {told}"):
        opened(tmp_path / "plant.csv").fetch(None, 1)


def test_names_may_hold_line_breaks(tmp_path):
    (tmp_path / "plant.csv").write_text('ts,"flow\n[m3/h]"\n1,2\n"flow\n[m3/h]",ts\n5,6\n')
    source = opened(tmp_path / "plant.csv")
    table = source.fetch(None, 9).table
    assert table["flow\n[m3/h]"].tolist() == [2, 5]
    assert table["file:line"].tolist() == ["plant.csv:3", "plant.csv:6"]
    mark = source.fetch(None, 9).watermark
    with (tmp_path / "plant.csv").open("a") as stream:
        stream.write("7,8\n")
    assert source.fetch(mark, 9).table["ts"].tolist() == ["8"]
