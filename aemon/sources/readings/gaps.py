"""Fills missing cells of records with the last reading of the tag, if this reading is recent."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def with_held_cells(
    table: pd.DataFrame, readings: pd.DataFrame, holds: Mapping[str, int]
) -> pd.DataFrame:
    """Return records whose missing cells are filled with the last reading before their bucket.

    A cell stays missing if its last reading is older than `holds` allows for the tag.

    Args:
        table: (N, ...) bucket, entity and a column for each tag; in order.
        readings: entity, tag, time, number and word; readings before the first bucket count too.
        holds: tag -> maximum time in microseconds from a reading to the beginning of a bucket.
    """
    tags = readings["tag"].astype(str)
    records = pd.DataFrame(
        {"entity": table["entity"].astype(str), "time": table["bucket"].astype(np.int64)}
    )
    for tag, longest in holds.items():
        own = readings[(tags == tag).to_numpy(dtype=bool)]
        if own.empty:
            continue
        cells = table[tag] if tag in table else pd.Series(np.nan, index=table.index, dtype=object)
        last = _last_before(records, own, longest)
        if cells.isna().any():
            held = cells.astype(object).where(cells.notna(), last)
            table = table.assign(**{tag: held.infer_objects()})
    return table


def _last_before(records: pd.DataFrame, readings: pd.DataFrame, longest: int) -> pd.Series:
    """Return for each record (N,) the last value before its time; NaN if that value is too old."""
    words = readings["word"]
    values = pd.DataFrame(
        {
            "entity": readings["entity"].astype(str),
            "time": readings["time"].astype(np.int64),
            "value": words.where(words.notna(), readings["number"].astype(object)),
        }
    ).sort_values("time", kind="stable")
    found = pd.merge_asof(
        records.reset_index().sort_values("time", kind="stable"),
        values, on="time", by="entity", tolerance=longest, allow_exact_matches=False,
    )  # fmt: skip
    return found.set_index("index")["value"].sort_index()
