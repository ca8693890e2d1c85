"""A date in one column and the time of day in another, in a SQL table."""

import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from datetime import time as of_day

import psycopg
import pytest

from aemon.errors import SourceConfigError
from aemon.reading.reader import Reader
from aemon.sources.source_kinds import open_replayable
from aemon.sources.sql.settings import SqlSource

START = datetime(2026, 11, 17, 23, 55)  # noqa: DTZ001 -- as it stands in the table


def moments(count):
    return [START + timedelta(minutes=number) for number in range(count)]


@pytest.fixture
def plant(tmp_path):
    """Ten minutes over midnight, as text."""
    path = tmp_path / "plant.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            'CREATE TABLE readings ("Date" TEXT, "Time" TEXT, id INTEGER PRIMARY KEY, flow REAL)'
        )
        rows = [
            (f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", n, float(n)) for n, at in enumerate(moments(10))
        ]
        connection.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows)
    return path


def opened(path, **more):
    what = {"table": "readings", "time": ("Date", "Time"), "key": "id", **more}
    settings = SqlSource(url=f"sqlite:///{path}", **what)
    return open_replayable(settings, clock=lambda: datetime.fromisoformat("2026-11-18T12:00Z"))


@pytest.mark.parametrize("query", [False, True])
def test_both_are_one_time_and_neither_is_judged(plant, query):
    what = {"table": None, "query": "SELECT * FROM readings -- all: of 'em;"} if query else {}
    source = opened(plant, **what)
    reader, mark, keys = Reader(source), None, []
    for _ in range(4):
        read = reader.after(mark, 3)
        mark = read.watermark
        keys += read.frame.keys.tolist()
        assert list(read.frame.values.columns) == ["flow"]
    assert keys == [str(n) for n in range(10)]
    assert mark.event_time.isoformat() == "2026-11-18T00:04:00+00:00"
    assert reader.newest(mark, 2).frame.keys.tolist() == ["8", "9"]
    assert source.count(100) == 10
    # A late row is found by its key, and read with its own time
    with closing(sqlite3.connect(plant)) as connection, connection:
        row = ("2026-11-17", "23:58:30", 10, 1.0)
        connection.execute("INSERT INTO readings VALUES (?, ?, ?, ?)", row)
    assert reader.after(mark, 3).frame.keys.tolist() == ["10"]
    source.close()


def test_rows_without_one_of_them_are_counted(plant):
    with closing(sqlite3.connect(plant)) as connection, connection:
        connection.execute("INSERT INTO readings VALUES (NULL, '08:00:00', 77, 1.0)")
        connection.execute("INSERT INTO readings VALUES ('2026-11-17', NULL, 78, 1.0)")
    read = Reader(opened(plant)).after(None, 100)
    assert len(read.frame) == 10
    assert any(told.startswith("2 rows have no Date Time") for told in read.warnings)


def test_a_missing_column_or_table_is_told_by_its_own_name(plant):
    with pytest.raises(SourceConfigError, match="no column 'Day'") as raised:
        opened(plant, time=("Day", "Time")).fetch(None, 1)
    assert "Date" in raised.value.todo
    with pytest.raises(SourceConfigError, match="no table or view 'nothing'"):
        opened(plant, table="nothing").fetch(None, 1)


def test_dates_that_do_not_sort_are_refused(plant):
    with closing(sqlite3.connect(plant)) as connection, connection:
        connection.execute("""UPDATE readings SET "Date" = '17.11.2026'""")
    with pytest.raises(SourceConfigError, match="alphabetical order is not the order of time"):
        opened(plant).fetch(None, 10)


def test_a_date_alone_names_the_way_to_read_both(plant):
    with pytest.raises(SourceConfigError, match="holds dates alone") as raised:
        opened(plant, time="Date").fetch(None, 10)
    assert raised.value.todo == "write time: [Date, Time]"


@pytest.mark.postgresql
def test_dates_and_times_of_the_databases_own_types_are_joined(postgres_url):
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(
            'CREATE TABLE readings ("Date" date, "Time" time, id bigserial PRIMARY KEY, flow float8)'
        )
        for at in moments(10):
            row = (date(at.year, at.month, at.day), of_day(at.hour, at.minute), 1.0)
            connection.execute(
                'INSERT INTO readings ("Date", "Time", flow) VALUES (%s, %s, %s)', row
            )
    settings = SqlSource(url=postgres_url, table="public.readings", time=("Date", "Time"), key="id")
    with closing(open_replayable(settings, clock=START.astimezone)) as source:
        read = Reader(source).after(None, 4)
        rest = Reader(source).after(read.watermark, 100)
    assert [len(read.frame), len(rest.frame)] == [4, 6]
    assert str(rest.frame.times[-1]) == "2026-11-18T00:04:00.000000"
