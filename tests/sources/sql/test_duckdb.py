"""DuckDB: files of its own, and Parquet and CSV files through it."""

import math
import multiprocessing
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aemon.errors import SourceConfigError, SourceError

T0 = "2026-03-01 10:00:00"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "plant.duckdb"


@pytest.fixture
def opened(open_table, file):
    return partial(open_table, url=f"duckdb:///{file}")


def run(file, *statements):
    with closing(duckdb.connect(str(file))) as connection:
        for statement in statements:
            connection.execute(statement)


def read_all(source, limit=2):
    keys, mark, more = [], None, True
    while more:
        fetched = source.fetch(mark, limit)
        keys += list(fetched.table[source.roles.key])
        mark, more = fetched.watermark, fetched.more
    return keys, mark


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_NS", "DATE", "VARCHAR"])
def test_equal_times_are_read_once_over_the_borders_of_pieces(opened, file, kind):
    run(
        file,
        f"CREATE TABLE readings (ts {kind}, id BIGINT, flow DOUBLE)",
        "INSERT INTO readings SELECT DATE '2026-03-01' + CAST(i // 5 AS INT), i, i FROM range(17) t(i)",
    )
    source = opened()
    keys, mark = read_all(source)
    assert keys == list(range(17))
    run(file, "INSERT INTO readings VALUES ('2026-03-09', 17, 1), ('2026-03-01', 18, 1)")
    late = source.fetch(mark, 5)
    assert list(late.table["id"]) == [18]
    assert list(source.fetch(late.watermark, 5).table["id"]) == [17]
    assert list(source.newest(None, 3).table["id"]) == [15, 16, 17]
    assert source.count(100) == 19


def test_values_of_every_type_are_what_they_were(opened, file):
    run(
        file,
        "CREATE TABLE readings (ts TIMESTAMPTZ, id INT, money DECIMAL(18, 2), big HUGEINT, x DOUBLE,"
        " day DATE, ok BOOLEAN, word VARCHAR, mode ENUM ('a', 'b'), none DOUBLE)",
        "INSERT INTO readings VALUES ('2026-03-01 10:00:00+01', 1, 1.25, 7, 'nan', '2026-01-02',"
        " true, 'grün', 'b', NULL), ('2026-03-01 11:00:00+01', 2, 2.5, 8, 'infinity', '2026-01-03',"
        " false, NULL, 'a', NULL)",
    )
    source = opened()
    fetched = source.fetch(None, 5)
    table = fetched.table
    assert table["money"].tolist() == [1.25, 2.5]
    assert table["big"].tolist() == [7, 8]
    assert math.isnan(table["x"][0])
    assert math.isinf(table["x"][1])
    assert table["ok"].tolist() == [True, False]
    assert (table["word"][0], table["mode"].tolist()) == ("grün", ["b", "a"])
    assert table["none"].isna().all()
    assert fetched.watermark.event_time == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_names_are_quoted(opened, file):
    run(file, 'CREATE TABLE "or""der t" ("select" TIMESTAMP, "a b" INT, "grün" INT)',
        f"INSERT INTO \"or\"\"der t\" VALUES ('{T0}', 1, 2)")  # fmt: skip
    source = opened(table='or"der t', time="select", key="a b")
    assert read_all(source)[0] == [1]


def test_nothing_is_made_or_written(opened, file):
    with pytest.raises(SourceConfigError, match=r"plant\.duckdb: no such file"):
        opened().fetch(None, 1)
    assert not file.exists()
    run(file, "CREATE TABLE readings (ts TIMESTAMP, id INT)", "CREATE SEQUENCE s")
    with pytest.raises((SourceError, SourceConfigError)):
        opened(query="SELECT now() AS ts, nextval('s') AS id").fetch(None, 1)


def test_what_is_not_there_is_told_with_what_is(opened, file):
    run(file, "CREATE TABLE reading (ts TIMESTAMP, id INT)")
    with pytest.raises(SourceConfigError, match="readings") as caught:
        opened().fetch(None, 1)
    assert "did you mean reading?" in str(caught.value.todo)
    with pytest.raises(SourceConfigError, match="no column 'nr'"):
        opened(table="reading", key="nr").fetch(None, 1)


def hold(file, ready, over):
    with closing(duckdb.connect(str(file))):
        ready.set()
        over.wait(30)


def test_a_file_that_another_process_writes_may_be_free_later(opened, file):
    run(file, "CREATE TABLE readings (ts TIMESTAMP, id INT)",
        f"INSERT INTO readings VALUES ('{T0}', 1)")  # fmt: skip
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    process = context.Process(target=hold, args=(file, ready, over))
    process.start()
    try:
        assert ready.wait(30)
        source = opened()
        with pytest.raises(SourceError, match="lock"):
            source.fetch(None, 1)
    finally:
        over.set()
        process.join()
    assert read_all(source)[0] == [1]
    run(file, f"INSERT INTO readings VALUES ('{T0}', 2)")  # no lock is left behind


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_query_reads_files_without_a_database(opened, tmp_path, kind):
    for day in (1, 2):
        ids = list(range(10 * day, 10 * day + 3))
        times = [datetime(2026, 3, day, hour, tzinfo=UTC) for hour in range(3)]
        table = pa.table({"ts": times, "id": ids, "flow": [1.5] * 3})
        if kind == "parquet":
            pq.write_table(table, tmp_path / f"{day}.parquet")
        else:
            table.to_pandas().to_csv(tmp_path / f"{day}.csv", index=False)
    query = f"SELECT * FROM read_{kind}('{tmp_path}/*.{kind}')"
    query = query if kind == "parquet" else query.replace("read_csv", "read_csv_auto")
    source = opened(url="duckdb:///:memory:", query=query)
    assert read_all(source)[0] == [10, 11, 12, 20, 21, 22]


def test_a_row_that_cannot_be_converted_hides_no_other(opened, file):
    run(file, "CREATE TABLE readings (ts TIMESTAMP, id INT, flow VARCHAR)",
        f"INSERT INTO readings SELECT TIMESTAMP '{T0}', i, CASE i WHEN 2 THEN '?' ELSE '1' END"
        " FROM range(5) t(i)")  # fmt: skip
    source = opened(query="SELECT ts, id, CAST(flow AS DOUBLE) AS flow FROM readings")
    fetched = source.fetch(None, 10)
    assert list(fetched.table["id"]) == [0, 1, 3, 4]
    assert "id 2" in fetched.unreadable[0]
