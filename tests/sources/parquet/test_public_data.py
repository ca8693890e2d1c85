"""Real sensors as Parquet are the records that they are as CSV."""

import numpy as np
import pandas as pd
import pytest

from aemon.frame import check_frame
from aemon.sources.csv.settings import CsvSource
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.source_kinds import open_replayable

PATTERN = {"from_path": r"valve1-(\d+)"}


def frame_of(settings):
    source = open_replayable(settings, clock=lambda: pd.Timestamp.now("UTC"))
    tables, times, mark, more = [], [], None, True
    while more:
        fetched = source.fetch(mark, 3_000)
        tables.append(fetched.table)
        times.append(fetched.times)
        mark, more = fetched.watermark, fetched.more
    source.close()
    table = pd.concat(tables, ignore_index=True)
    return check_frame(table, source.roles, np.concatenate(times))


@pytest.mark.shared_data
def test_a_water_rig_reads_the_same_from_either(shared_data, tmp_path):
    for file in (shared_data / "skab").glob("valve1-*.csv"):
        table = pd.read_csv(file, sep=";", parse_dates=["datetime"])
        table.to_parquet(tmp_path / f"{file.stem}.parquet", row_group_size=300)
    parquet = frame_of(ParquetSource(path=tmp_path, time="datetime", entity=PATTERN))
    csv = frame_of(
        CsvSource(
            path=shared_data / "skab" / "valve1-*.csv",
            time="datetime",
            entity=PATTERN,
            separator=";",
        )
    )
    assert len(parquet) == len(csv) > 10_000
    assert parquet.rejected == csv.rejected
    orders = [np.lexsort((frame.times, frame.entities)) for frame in (parquet, csv)]
    assert (parquet.times[orders[0]] == csv.times[orders[1]]).all()
    assert (parquet.entities[orders[0]] == csv.entities[orders[1]]).all()
    values = [frame.values.iloc[order] for frame, order in zip((parquet, csv), orders, strict=True)]
    assert list(values[0]) == list(values[1])
    np.testing.assert_array_equal(values[0].to_numpy(float), values[1].to_numpy(float))
