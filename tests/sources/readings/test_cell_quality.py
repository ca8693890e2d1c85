"""Quality by column: a cell that is not good is missing, for every kind of table."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pandas as pd
import pytest

from aemon.errors import SourceConfigError
from aemon.sources.csv.settings import CsvSource
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.readings.cell_quality import good_cells
from aemon.sources.readings.settings import Quality
from aemon.sources.source import ChecksApart
from aemon.sources.source_kinds import check_apart, open_replayable
from aemon.sources.sql.settings import SqlSource
from aemon.testing.source_worlds import EPOCH, moment

QUALITY = {
    "flow": {"column": "flow_q"},
    "state": {"column": "state_q", "good": ["Good", 1, True]},
}
ROWS = [
    (1, 5.0, 192, "on", "Good", 10),
    (2, 6.0, 0, "on", "1", 11),
    (3, 7.0, None, "off", "Bad", 12),
]
TABLE = pd.DataFrame(
    [(f"{moment(n):%Y-%m-%dT%H:%M:%SZ}", n, *values) for n, *values in ROWS],
    columns=["ts", "id", "flow", "flow_q", "state", "state_q", "pressure"],
)


def opened(settings):
    return open_replayable(settings, clock=lambda: EPOCH + timedelta(days=1))


def sql(folder, **more):
    with closing(sqlite3.connect(folder / "plant.db")) as connection:
        TABLE.to_sql("wide", connection, index=False)
    given = {"url": f"sqlite:///{folder}/plant.db", "table": "wide", "time": "ts", "key": "id"}
    return SqlSource.model_validate({**given, "quality": QUALITY, **more})


def csv(folder, **more):
    TABLE.to_csv(folder / "wide.csv", index=False)
    given = {"path": folder / "wide.csv", "time": "ts", "quality": QUALITY, **more}
    return CsvSource.model_validate(given)


def parquet(folder, **more):
    TABLE.to_parquet(folder / "wide.parquet")
    given = {"path": folder / "wide.parquet", "time": "ts", "quality": QUALITY, **more}
    return ParquetSource.model_validate(given)


@pytest.mark.parametrize("settings", [sql, csv, parquet])
def test_a_cell_that_is_not_good_is_missing(tmp_path, settings):
    with closing(opened(settings(tmp_path))) as source:
        first = source.fetch(None, 2)
        rest = source.fetch(first.watermark, 10)
        newest = source.newest(None, 10).table
        assert source.recognises(rest.watermark)
        assert source.count(10) == 3
    table = pd.concat([first.table, rest.table], ignore_index=True)
    for found in (table, newest):
        flow = pd.to_numeric(found["flow"])
        assert flow.isna().tolist() == [False, True, True]
        assert flow.iloc[0] == 5
        assert found["state"].isna().tolist() == [False, False, True]
        assert pd.to_numeric(found["pressure"]).tolist() == [10, 11, 12]
        assert not {"flow_q", "state_q"} & set(found.columns)


def test_a_bucket_takes_the_good_cells_alone(tmp_path):
    settings = sql(
        tmp_path, bucket={"every": "1m", "wait": timedelta(0)}, quality={"flow": QUALITY["flow"]}
    )
    with closing(opened(settings)) as source:
        (record,) = source.fetch(None, 10).table.to_dict("records")
    assert (record["flow"], record["pressure"]) == (5, 11)
    assert "flow_q" not in record


@pytest.mark.parametrize(
    ("quality", "told"),
    [
        ({"flow": {"column": "flwo_q"}}, "quality.flow.column: there is no column 'flwo_q'"),
        ({"flwo": {"column": "flow_q"}}, "quality.flwo: there is no column 'flwo'"),
    ],
)
@pytest.mark.parametrize("bucket", [None, "1m"])
def test_a_column_that_is_not_there_is_told(tmp_path, quality, told, bucket):
    settings = sql(tmp_path, quality=quality, bucket=bucket)
    with (
        closing(opened(settings)) as source,
        pytest.raises(SourceConfigError, match=f"{told}.*did you mean"),
    ):
        source.fetch(None, 10)


def test_records_that_cannot_be_told_apart_are_refused_still(tmp_path):
    source = opened(csv(tmp_path))
    assert isinstance(source, ChecksApart)
    check_apart(source)


@pytest.mark.parametrize(
    "kind", ["int64", "float64", "Int64", "boolean", "bool", "object", "string"]
)
def test_every_type_of_column_has_missing_cells(kind):
    column = pd.Series([1, 0, 1]).astype("int64").astype(kind if kind != "string" else "str")
    table = pd.DataFrame({"a": column.astype(kind), "q": [192.0, 0, None]})
    found = good_cells(table, {"a": Quality(column="q")})
    assert found["a"].isna().tolist() == [False, True, True]
    assert found.index.equals(table.index)


def test_an_empty_table_stays_one():
    quality = {"a": Quality(column="q")}
    assert list(good_cells(pd.DataFrame(columns=["ts", "a", "q"]), quality)) == ["ts", "a"]
    assert list(good_cells(pd.DataFrame(columns=["ts"]), quality)) == ["ts"]
