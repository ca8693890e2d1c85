"""A row at which the database fails is passed over and told; every other one is read once."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from aemon.errors import SourceConfigError
from aemon.reading.reader import Reader
from aemon.sources.sql.row_by_row import MOST_UNREADABLE
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable

ROWS, BAD = 260, (3, 4, 210, 259)
FAILS = {
    "sqlite": "json_extract(note, '$.a')",  # malformed JSON
    "postgresql": "100 / flow",
    "function": "odd(flow)",
}


def at(number: int) -> str:
    return f"2020-01-01 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"


def made(run, bad=BAD, rows=ROWS):
    run("CREATE TABLE base (ts timestamp, id int, flow int, note text)")
    values = ", ".join(
        f"('{at(n)}', {n}, {0 if n in bad else n + 1}, '{'{' if n in bad else '{}'}')"
        for n in range(rows)
    )
    run(f"INSERT INTO base VALUES {values}")


@pytest.fixture(params=["sqlite", *(pytest.param(x, marks=pytest.mark.postgresql) for x in ("postgresql", "function"))])  # fmt: skip
def source_of(request, tmp_path):
    """Makes a source on a view that fails at some rows, in each database."""
    kind, sources = request.param, []
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/plant.db"
        connection = sqlite3.connect(tmp_path / "plant.db", isolation_level=None)
    else:
        url = request.getfixturevalue("postgres_url")
        connection = psycopg.connect(url, autocommit=True)
        connection.execute(
            "CREATE FUNCTION odd(x int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN"
            " IF x = 0 THEN RAISE EXCEPTION 'no flow at all'; END IF; RETURN x; END $$"
        )

    def source_of(bad=BAD, *, expression=FAILS[kind], rows=ROWS):
        made(connection.execute, bad, rows)
        connection.execute(f"CREATE VIEW readings AS SELECT ts, id, {expression} AS x FROM base")
        sources.append(SqlTable(SqlSource(url=url, table="readings", time="ts", key="id")))
        return sources[-1]

    with closing(connection):
        yield source_of
        for source in sources:
            source.close()


@pytest.mark.parametrize("limit", [3, 211, ROWS])
def test_every_other_row_is_read_once(source_of, limit):
    source = source_of()
    keys, aside, mark, more = [], [], None, True
    while more:
        fetched = source.fetch(mark, limit)
        keys += fetched.table["id"].tolist()
        aside += fetched.unreadable
        mark, more = fetched.watermark, fetched.more
    assert keys == [n for n in range(ROWS) if n not in BAD]
    assert [told.partition(":")[0] for told in aside] == [f"id {n}" for n in BAD]
    assert not source.fetch(mark, limit).unreadable


def test_the_newest_rows_are_read_as_well(source_of):
    fetched = source_of().newest(None, 60)
    assert fetched.table["id"].tolist() == [n for n in range(200, ROWS) if n not in BAD]
    assert len(fetched.unreadable) == 2


def test_the_reader_counts_them_and_shows_one(source_of):
    read = Reader(source_of()).after(None, 6)
    assert (read.fetched, read.frame.rejected) == (6, {"unreadable": 2})
    assert read.examples["unreadable"].startswith("id 3: ")


def test_a_view_that_fails_at_most_rows_is_refused(source_of):
    with pytest.raises(SourceConfigError, match=f"more than {MOST_UNREADABLE} rows"):
        source_of(range(ROWS)).fetch(None, ROWS)


@pytest.mark.postgresql
def test_a_view_that_cannot_even_list_its_rows_says_why_and_what_to_do(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        made(server.execute, rows=5)
        server.execute(
            "CREATE VIEW times AS SELECT ts + 1 / flow * interval '0' AS ts, id FROM base"
        )
        server.execute("CREATE VIEW volatile AS SELECT ts, id, 1 / flow + random() AS x FROM base")
    for view in ("times", "volatile"):
        settings = SqlSource(url=postgres_url, table=view, time="ts", key="id")
        with closing(SqlTable(settings)) as source, pytest.raises(SourceConfigError) as refused:
            source.fetch(None, 5)
        assert "only ts and id are read: division by zero" in refused.value.message
        assert "STABLE" in refused.value.todo


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("kind", "value"),
    [("time", "24:00:00"), ("timetz", "24:00:00+00"), ("interval", "170000000 years")],
)
def test_what_python_cannot_hold_in_any_column_hides_no_row(postgres_url, kind, value):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE TABLE readings (ts timestamptz, id int, x {kind})")
        server.execute("INSERT INTO readings VALUES ('2020-01-01', 1, %s)", (value,))
    with closing(
        SqlTable(SqlSource(url=postgres_url, table="readings", time="ts", key="id"))
    ) as source:
        (read,) = source.fetch(None, 10).table["x"]
    assert value.split()[0][:8] in str(read)
