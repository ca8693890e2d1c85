"""A large table without an index is reported, with the statement that makes one."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from aemon.sources.sql import indexes
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable


@pytest.fixture(autouse=True)
def few_rows_are_many(monkeypatch):
    monkeypatch.setattr(indexes, "MANY_ROWS", 5)


def warnings_of(url, **settings):
    given = {"url": url, "time": "ts", "key": "id", "table": "readings"} | settings
    source = SqlTable(SqlSource(**{name: value for name, value in given.items() if value}))
    try:
        return source.fetch(None, 100).warnings
    finally:
        source.close()


def made(tmp_path, *statements, rows=8):
    with closing(sqlite3.connect(tmp_path / "plant.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO readings (ts, id, flow) VALUES (?, ?, 1.5)",
            [(f"2020-01-01 00:00:0{row}", row) for row in range(rows)],
        )
        connection.commit()
    return f"sqlite:///{tmp_path}/plant.db"


PLAIN = "CREATE TABLE readings (ts TEXT, id INTEGER, flow REAL)"


def test_a_large_table_without_indexes_lacks_two(tmp_path):
    by_time, by_key = warnings_of(made(tmp_path, PLAIN))
    assert by_time == (
        "readings has more than 5 rows and no index for every read, which scans all rows: "
        'CREATE INDEX readings_ts_id ON "readings" ("ts", "id")'
    )
    assert by_key.endswith(
        'for the search for late records, which scans all rows: CREATE INDEX readings_id ON "readings" ("id")'
    )


@pytest.mark.parametrize(
    "made_by",
    [
        ("CREATE TABLE readings (ts TEXT, id INTEGER PRIMARY KEY, flow REAL)", "CREATE INDEX a ON readings (ts)"),
        (PLAIN, "CREATE INDEX a ON readings (ts, id)", "CREATE UNIQUE INDEX b ON readings (id)"),
    ],
)  # fmt: skip
def test_with_both_there_is_nothing_to_say(tmp_path, made_by):
    assert warnings_of(made(tmp_path, *made_by)) == ()


def test_a_small_table_and_a_view_and_a_query_need_none(tmp_path):
    url = made(tmp_path, PLAIN, rows=4)
    assert warnings_of(url) == ()
    url = made(tmp_path, "CREATE VIEW shown AS SELECT * FROM readings", rows=4)
    assert len(warnings_of(url)) == 2
    assert warnings_of(url, table="shown") == ()
    assert warnings_of(url, table=None, query="SELECT * FROM readings") == ()


@pytest.mark.postgresql
def test_on_postgresql_with_a_schema_and_quoted_names(postgres_url):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA plant"))
        connection.execute(
            sa.text('CREATE TABLE plant."Readings" (ts timestamptz, id bigint, flow float8)')
        )
        connection.execute(
            sa.text(
                "INSERT INTO plant.\"Readings\" SELECT '2020-01-01'::timestamptz + n * interval '1s', n, 1 "
                "FROM generate_series(1, 8) n"
            )
        )
    by_time, _ = warnings_of(postgres_url, table="plant.Readings")
    assert by_time.endswith('CREATE INDEX "Readings_ts_id" ON "plant"."Readings" ("ts", "id")')
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE INDEX ON "plant"."Readings" (ts, id)'))
        connection.execute(sa.text('ALTER TABLE plant."Readings" ADD PRIMARY KEY (id)'))
    engine.dispose()
    assert warnings_of(postgres_url, table="plant.Readings") == ()
