"""PostgreSQL read by ADBC: the same records as by psycopg, whatever their types."""

from contextlib import closing
from functools import partial

import pandas as pd
import psycopg
import pytest

from aemon.errors import SourceConfigError, SourceError

pytestmark = pytest.mark.postgresql


@pytest.fixture
def run(postgres_url):
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        yield connection.execute


@pytest.fixture
def opened(open_table, postgres_url):
    return partial(open_table, url=postgres_url, read_with="adbc")


def read_all(source, limit=3):
    tables, marks, mark, more = [], [], None, True
    while more:
        fetched = source.fetch(mark, limit)
        tables.append(fetched.table)
        mark, more = fetched.watermark, fetched.more
        marks.append(mark)
    return tables, marks


def are_equal(opened, **settings):
    """Whether both ways read the same; return the reader of ADBC."""
    quick, plain = opened(**settings), opened(read_with="driver", **settings)
    (mine, my_marks), (theirs, their_marks) = read_all(quick), read_all(plain)
    for one, other in zip(mine, theirs, strict=True):
        pd.testing.assert_frame_equal(one, other, check_dtype=False)
        assert [str(kind)[:3] for kind in one.dtypes] == [str(kind)[:3] for kind in other.dtypes]
    assert [mark.position for mark in my_marks] == [mark.position for mark in their_marks]
    return quick


COLUMNS = {
    "numeric(20, 4)": "i + 0.25",
    "double precision": "CASE i WHEN 1 THEN 'nan'::float8 WHEN 2 THEN 'infinity' WHEN 3 THEN NULL ELSE i END",
    "mode": "CASE WHEN i % 2 = 0 THEN 'run' ELSE 'of''f' END::mode",
    "boolean": "i % 2 = 0",
    "date": "DATE '2026-03-01' + i",
    "integer": "CASE WHEN i % 3 = 0 THEN NULL ELSE i END",
    "text": "CASE WHEN i = 4 THEN NULL ELSE 'grün' || i END",
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_values_are_those_that_psycopg_reads(run, opened, kind):
    run("CREATE TYPE mode AS ENUM ('run', 'of''f')")
    run(f'CREATE TABLE readings (ts timestamptz, id bigint, "or""der" {kind})')
    some = f"SELECT timestamptz '2026-03-01 10:00+01' + i / 4 * interval '1 s', i, {COLUMNS[kind]}"
    run(f"INSERT INTO readings {some} FROM generate_series(0, 10) i")
    quick = are_equal(opened)
    assert quick._reader._arrow._reads


@pytest.mark.parametrize("kind", ["uuid", "inet", "interval", "jsonb", "int[]", "bytea"])
def test_other_types_are_read_by_psycopg(run, opened, kind):
    run(f"CREATE TABLE readings (ts timestamptz, id bigint, x {kind})")
    run("INSERT INTO readings SELECT now(), i, NULL FROM generate_series(0, 4) i")
    quick = are_equal(opened)
    assert not quick._reader._arrow._reads


def test_numeric_keys_are_read_by_psycopg(run, opened):
    run("CREATE TABLE readings (ts timestamptz, id numeric)")
    run("INSERT INTO readings SELECT now(), 12345678901234567890 + i FROM generate_series(0, 4) i")
    assert not are_equal(opened)._reader._arrow._reads


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_infinite_times_end_nothing(run, opened, kind):
    run(f"CREATE TABLE readings (ts timestamptz, id bigint, due {kind})")
    run("INSERT INTO readings VALUES (now(), 1, 'infinity'), (now(), 2, '-infinity'), (now(), 3, now())")  # fmt: skip
    are_equal(opened)


def test_nothing_is_written_and_no_second_statement_runs(run, opened):
    run("CREATE TABLE readings (ts timestamptz, id bigint)")
    run("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO readings VALUES (now(), 9) RETURNING 1'")  # fmt: skip
    for query in (
        "SELECT now() AS ts, f() AS id",
        "SELECT now() AS ts, 1 AS id) x; INSERT INTO readings VALUES (now(), 1); --",
    ):
        with pytest.raises((SourceError, SourceConfigError)):
            opened(query=query).fetch(None, 1)
    assert run("SELECT count(*) FROM readings").fetchone() == (0,)


def test_text_positions_are_quoted(run, opened):
    run("CREATE TABLE readings (ts timestamptz, id text)")
    run(
        "INSERT INTO readings SELECT '2026-03-01', 'it''s 100% \\' || i FROM generate_series(0, 9) i"
    )
    assert are_equal(opened)._reader._arrow._reads


def test_other_databases_are_refused(opened, tmp_path):
    with pytest.raises(SourceConfigError, match="is for PostgreSQL"):
        opened(url=f"sqlite:///{tmp_path}/x.db")
