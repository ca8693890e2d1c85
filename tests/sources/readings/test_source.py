"""Long tables and buckets: whole, once, and honest about what is missing."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pandas as pd
import pytest

from aemon.config.source_settings import identity
from aemon.errors import SourceConfigError
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.readings import gathering
from aemon.sources.readings.source import Readings
from aemon.sources.source_kinds import open_replayable
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable
from aemon.testing.source_worlds import EPOCH, moment

LONG = {"time": "ts", "key": "id", "pivot": {"name": "tag", "value": "value"}}


class Plant:
    """A long table in SQLite, and the time by a clock that a test sets."""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder}/plant.db"
        self.connection = sqlite3.connect(folder / "plant.db")
        self.connection.execute(
            "CREATE TABLE long (id INTEGER PRIMARY KEY, ts, pump, tag, value, q)"
        )
        self.now = EPOCH + timedelta(days=1)

    def add(self, *readings, pump="p1", q=192):
        for second, tag, value in readings:
            row = (f"{moment(second):%Y-%m-%d %H:%M:%S}", pump, tag, value, q)
            self.connection.execute(
                "INSERT INTO long (ts, pump, tag, value, q) VALUES (?, ?, ?, ?, ?)", row
            )
        self.connection.commit()

    def open(self, bucket="1m", *, at_once=20_000, **more):
        if isinstance(bucket, str):
            bucket = {"every": bucket}
        if bucket is not None:
            bucket = {"wait": timedelta(0), **bucket}
        given = {**LONG, "url": self.url, "table": "long", "bucket": bucket, **more}
        settings = SqlSource.model_validate(given)
        return Readings(SqlTable(settings), settings, lambda: self.now, at_once=at_once)


@pytest.fixture
def plant(tmp_path):
    plant = Plant(tmp_path)
    with closing(plant.connection):
        yield plant


def records_of(fetched, *columns):
    """The records of a table as tuples: second, then the columns."""
    seconds = [round(time.astype("int64") / 1e6 - EPOCH.timestamp()) for time in fetched.times]
    values = zip(*(fetched.table[column].tolist() for column in columns), strict=True)
    return [(second, *row) for second, row in zip(seconds, values, strict=True)]


def walk(source, limit=1000, mark=None):
    """All records behind a mark, and the mark behind them."""
    found = []
    while True:
        fetched = source.fetch(mark, limit)
        found += fetched.table.to_dict("records")
        mark = fetched.watermark
        if not fetched.more:
            return found, mark


def test_tags_with_their_own_times_become_records_of_a_bucket(plant):
    plant.add((0, "flow", 1), (7, "pressure", 10), (30, "flow", 3), (61, "flow", 5))
    fetched = plant.open().fetch(None, 10)
    assert records_of(fetched, "flow") == [(0, 2.0), (60, 5.0)]
    assert fetched.table["pressure"].tolist()[0] == 10
    assert fetched.table["pressure"].isna().tolist() == [False, True]


AGGREGATES = {
    "mean": 3.0, "last": 1.0, "first": 2.0, "max": 6.0, "min": 1.0, "sum": 9.0, "count": 3,
}  # fmt: skip


@pytest.mark.parametrize(("how", "value"), AGGREGATES.items())
def test_readings_become_one_value(plant, how, value):
    plant.add((1, "flow", 2), (2, "flow", 6), (3, "flow", 1))
    source = plant.open({"every": "1m", "aggregate": {"flow": how}})
    assert source.fetch(None, 10).table["flow"].tolist() == [value]
    everywhere = plant.open({"every": "1m", "aggregate": how})
    assert everywhere.fetch(None, 10).table["flow"].tolist() == [value]


def test_the_increase_of_a_counter_counts_on_from_the_bucket_before(plant):
    # Given: it goes on, is reset, is away for a bucket, and comes back.
    plant.add((0, "m", 100), (50, "m", 104), (70, "m", 107), (130, "m", 2), (250, "m", 9))
    for at_once in (1, 2, 100):
        source = plant.open({"every": "1m", "aggregate": {"m": "increase"}}, at_once=at_once)
        told = walk(source, limit=1)[0]
        assert [record["m"] for record in told[:3]] == [4, 3, 2]
        assert told[3]["m"] != told[3]["m"]  # nobody knows when it rose


def test_words_and_truths_keep_their_last(plant):
    plant.add((1, "state", "run"), (2, "state", "stop"), (3, "flow", "1.5"), (4, "flow", "Bad"))
    table = plant.open().fetch(None, 10).table
    assert table["state"].tolist() == ["stop"]
    assert table["flow"].tolist() == [1.5]


def test_words_where_numbers_are_wanted_are_told(plant):
    plant.add((1, "flow", "12,5"), (2, "level", 1), (2, "level", "Bad"))
    fetched = plant.open({"every": "1m", "aggregate": "mean"}).fetch(None, 10)
    assert "flow: readings such as '12,5' are not numbers" in fetched.warnings[0]
    assert fetched.table["flow"].isna().all()
    assert len(fetched.warnings) == 1


@pytest.mark.parametrize("at_once", [1, 5, 100])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_a_bucket_is_read_whole_however_reads_are_cut(plant, at_once, limit):
    for pump in ("p1", "p2"):
        plant.add(*((second, "flow", second) for second in range(0, 300, 20)), pump=pump)
    found, mark = walk(plant.open(at_once=at_once, entity="pump"), limit)
    whole = walk(plant.open(entity="pump"))[0]
    assert found == whole
    assert len(found) == 10
    assert walk(plant.open(at_once=at_once, entity="pump"), limit, mark) == ([], mark)


def test_a_bucket_that_is_not_over_is_not_judged(plant):
    plant.now = moment(100)
    plant.add((0, "flow", 1), (70, "flow", 2))
    found, mark = walk(plant.open({"every": "1m", "wait": "30s"}))
    assert [record["flow"] for record in found] == [1]
    # When: its time is over, but readings may still come.
    plant.now = moment(149)
    plant.add((110, "flow", 4), (125, "flow", 7))
    assert walk(plant.open({"every": "1m", "wait": "30s"}), mark=mark) == ([], mark)
    # Then: it is whole once they have come.
    plant.now = moment(150)
    found, mark = walk(plant.open({"every": "1m", "wait": "30s"}), mark=mark)
    assert [record["flow"] for record in found] == [3]


def test_the_newest_bucket_is_judged_once_nothing_new_has_come(plant):
    plant.add((0, "flow", 1))
    source = plant.open({"every": "1m", "wait": "30s"})
    assert walk(source)[0] == []  # a program may still be filling the table
    plant.now += timedelta(seconds=30)
    assert [record["flow"] for record in walk(source)[0]] == [1]


def test_late_readings_are_counted_and_told_once(plant):
    plant.add((0, "flow", 1), (70, "flow", 2))
    source = plant.open()
    _, mark = walk(source)
    plant.add((30, "flow", 9), (130, "flow", 3))
    fetched = source.fetch(mark, 10)
    assert any(told.startswith("1 reading arrived after") for told in fetched.warnings)
    assert records_of(fetched, "flow") == [(120, 3.0)]
    assert source.fetch(fetched.watermark, 10).warnings == ()
    # A look behind the watermark finds the record as it is now.
    assert [record["flow"] for record in walk(plant.open())[0]] == [5, 2, 3]


def test_a_tag_that_falls_silent_stays_a_column(plant):
    plant.add((0, "flow", 1), (0, "pressure", 1))
    _, mark = walk(plant.open())
    plant.add((70, "flow", 2))
    fetched = plant.open().fetch(mark, 10)
    assert fetched.table["pressure"].isna().all()
    assert plant.open().newest(fetched.watermark, 1).table["pressure"].isna().all()
    assert "pressure" in plant.open().fetch(fetched.watermark, 10).table


def test_tags_that_never_share_a_time_are_told(plant):
    for second in range(0, 40, 4):
        plant.add(*((second + place, tag, 1) for place, tag in enumerate(("a", "b", "c"))))
    (told,) = (
        plant.open(None, pivot={**LONG["pivot"], "wait": timedelta(0)}).fetch(None, 99).warnings
    )
    assert "a record holds 1.0 of 3 tags on average" in told
    assert "bucket: 1m" in told


def test_what_is_not_good_is_missing(plant):
    plant.add((0, "flow", 1), (61, "flow", 2))
    plant.add((1, "flow", 100), (121, "flow", 100), q=0)
    table = plant.open(quality={"column": "q", "good": [192]}).fetch(None, 10).table
    assert table["flow"].tolist()[:2] == [1, 2]
    assert table["flow"].isna().tolist() == [False, False, True]


def test_without_a_bucket_equal_times_make_a_record(plant):
    plant.add((0, "flow", 1), (0, "pressure", 2), (5, "flow", 3), (5, "pressure", 4))
    pivot = {**LONG["pivot"], "wait": timedelta(0)}
    table = plant.open(None, pivot=pivot).fetch(None, 10).table
    assert table[["flow", "pressure"]].to_numpy().tolist() == [[1, 2], [3, 4]]


def test_buckets_may_begin_later(plant):
    plant.add((5, "flow", 1), (15, "flow", 2))
    fetched = plant.open({"every": "1m", "offset": "10s"}).fetch(None, 10)
    assert records_of(fetched, "flow") == [(-50, 1), (10, 2)]


def test_a_wide_table_is_put_into_buckets_too(tmp_path):
    (tmp_path / "wide.csv").write_text(
        "ts,pump,flow,state\n2026-03-01 00:00:00,a,1,run\n2026-03-01 00:00:30,a,3,run\n"
        "2026-03-01 00:00:40,b,,stop\n2026-03-01 00:01:00,a,7,run\n"
    )
    given = {"path": tmp_path, "time": "ts", "entity": "pump"}
    bucket = {"every": "1m", "wait": timedelta(0)}
    settings = CsvSource.model_validate({**given, "bucket": bucket})
    source = Readings(CsvFiles(settings), settings, lambda: EPOCH + timedelta(days=1))
    table = source.fetch(None, 10).table
    assert table["pump"].tolist() == ["a", "b", "a"]
    assert table["state"].tolist() == ["run", "stop", "run"]
    assert table["flow"].fillna(-1).tolist() == [2, -1, 7]


def test_a_file_may_hold_one_tag_after_the_other(tmp_path):
    lines = [
        f"{moment(second).isoformat()},{tag},{second}\n"
        for tag in ("flow", "pressure")
        for second in range(0, 600, 20)
    ]
    (tmp_path / "long.csv").write_text("at,tag,value\n" + "".join(lines))
    given = {"path": tmp_path, "time": "at", "pivot": LONG["pivot"]}
    settings = CsvSource.model_validate({**given, "bucket": {"every": "1m", "wait": timedelta(0)}})
    source = Readings(CsvFiles(settings), settings, lambda: EPOCH + timedelta(days=1), at_once=7)
    found, _ = walk(source, limit=3)
    assert len(found) == 10
    assert all(record["flow"] == record["pressure"] for record in found)


def test_a_large_file_with_one_tag_after_the_other_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_HELD", 20)
    lines = [
        f"{moment(second).isoformat()},{tag},{second}\n"
        for tag in ("flow", "pressure")
        for second in range(0, 1000, 20)
    ]
    given = {"path": tmp_path / "long.csv", "time": "at", "pivot": LONG["pivot"]}
    settings = CsvSource.model_validate({**given, "bucket": {"every": "1m", "wait": timedelta(0)}})

    def opened():
        clock = lambda: EPOCH + timedelta(days=1)  # noqa: E731
        return Readings(CsvFiles(settings), settings, clock, at_once=7)

    (tmp_path / "long.csv").write_text("at,tag,value\n" + "".join(lines))
    for read in (opened().fetch, opened().newest):
        with pytest.raises(SourceConfigError, match="are not in the order of their times"):
            read(None, 3)
    # In the order of time it may be as large as it likes.
    (tmp_path / "long.csv").write_text("at,tag,value\n" + "".join(sorted(lines)))
    found, _ = walk(opened(), limit=3)
    assert len(found) == 17
    assert all(record["flow"] == record["pressure"] for record in found)


def test_a_reading_ahead_of_the_clock_is_told_and_hides_nothing(plant):
    plant.now = moment(200)
    plant.add((0, "flow", 1), (100_000, "flow", 1), (70, "flow", 2))
    source = plant.open()
    fetched = source.fetch(None, 10)
    assert records_of(fetched, "flow") == [(0, 1), (60, 2)]
    assert "is ahead of the clock" in fetched.warnings[0]
    plant.now = moment(300)
    plant.add((130, "flow", 3))
    assert records_of(source.fetch(fetched.watermark, 10), "flow") == [(120, 3)]


def test_readings_without_a_time_or_a_tag_are_told(plant):
    plant.add((0, "flow", 1), (0, None, 1), (61, "flow", 1))
    plant.connection.execute("INSERT INTO long (ts, tag, value) VALUES ('', 'flow', 1)")
    plant.connection.commit()
    fetched = plant.open().fetch(None, 10)
    assert sorted(fetched.unreadable) == ["a reading without tag", "ts ''"]


def test_a_tag_cannot_have_the_name_of_the_time(plant):
    plant.add((0, "ts", 1))
    with pytest.raises(
        SourceConfigError, match="a tag has the name 'ts', which is also the column of the time"
    ):
        plant.open().fetch(None, 10)


def test_a_column_that_is_not_there_is_named(plant):
    plant.add((0, "flow", 1))
    with pytest.raises(
        SourceConfigError, match=r"pivot.value: there is no column 'valu'.*did you mean value"
    ):
        plant.open(pivot={"name": "tag", "value": "valu"}).fetch(None, 10)


def test_a_gap_is_missing_or_held_for_a_while(plant):
    plant.add((10, "state", "run"), *((second, "flow", second) for second in range(0, 300, 60)))
    held = {"gaps": {"state": {"hold": "2m"}, "flow": "missing"}}
    for at_once in (1, 2, 100):
        found, mark = walk(plant.open(at_once=at_once, **held), limit=1)
        states = [record.get("state") for record in found]
        assert states[:3] == ["run", "run", "run"]
        assert pd.isna(states[3:]).all()
    # A restart holds the same.
    early = plant.open(**held).fetch(None, 1).watermark
    assert walk(plant.open(**held), mark=early)[0][:2] == found[1:3]
    assert walk(plant.open(**held), mark=mark) == ([], mark)
    newest = plant.open(**held, at_once=1).newest(early, 1)
    assert newest.table["state"].tolist() == ["run"]


@pytest.mark.parametrize("hold", [{}, {"gaps": {"flow": {"hold": "2m"}}}])
@pytest.mark.parametrize("limit", [1, 5, 100])
def test_the_newest_records_are_those_that_were_read(plant, limit, hold):
    for pump in ("p1", "p2"):
        plant.add(*((second, "flow", second) for second in range(0, 500, 20)), pump=pump)
        plant.add(*((second, "pressure", second) for second in range(0, 500, 7)), pump=pump)
    settings = {"entity": "pump", **hold}
    everything, end = walk(plant.open(**settings))
    mark = None
    source, place = plant.open(**settings, at_once=20), 0
    for step in (1, 2, 2, 5, 8):
        mark, place = source.fetch(mark, step).watermark, place + step
        newest = source.newest(mark, limit)
        assert newest.table.to_dict("records") == everything[:place][-limit:]
    assert place == len(everything)
    assert mark.position == end.position
    last = source.newest(None, limit)
    assert last.table.to_dict("records") == everything[-limit:]
    # Reading goes on behind them, and tells nothing of what was there.
    plant.add((545, "flow", 1), (600, "flow", 2))
    source = plant.open(**settings)
    fetched = source.fetch(last.watermark, 100)
    assert fetched.table["flow"].tolist() == [1, 2]
    assert fetched.warnings == ()


def test_buckets_that_are_not_over_come_after_the_newest(plant):
    plant.now = moment(100)
    plant.add((0, "flow", 1), (61, "flow", 2))
    mark = plant.open({"every": "1m", "wait": "10s"}).newest(None, 5).watermark
    plant.now = moment(140)
    plant.add((90, "flow", 4), (121, "flow", 4))
    fetched = plant.open({"every": "1m", "wait": "10s"}).fetch(mark, 10)
    assert fetched.table["flow"].tolist() == [3]
    assert fetched.warnings == ()


def test_what_makes_other_records_makes_another_source(plant):
    def of(**more):
        return identity(SqlSource.model_validate({**LONG, "url": "x", "table": "long", **more}))

    old = '{"kind":"sql","table":"long","time":"ts","key":"id"}'
    assert of(pivot=None) == old, "stores know it by this text"
    assert of(bucket="1m") != of()
    assert of(bucket="1m") != of(bucket="2m")
    assert of(bucket={"every": "1m", "wait": "5m"}) == of(bucket="1m")


def test_settings_open_it(plant):
    plant.add((0, "flow", 1), (90, "flow", 1))
    settings = SqlSource.model_validate({**LONG, "url": plant.url, "table": "long", "bucket": "1m"})
    with closing(open_replayable(settings, clock=lambda: plant.now)) as source:
        assert "tags as columns" in source.describe()
        assert source.count(10) == 1
