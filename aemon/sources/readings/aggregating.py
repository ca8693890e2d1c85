"""Aggregation: the readings of a tag in a bucket become one value of a record."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

_CELL = ["bucket", "entity", "tag"]
_AUTO = "auto"
_OF_NUMBERS = ("mean", "max", "min", "sum", "increase")


def aggregated(
    readings: pd.DataFrame, aggregations: Mapping[str, str] | str, every: int
) -> pd.DataFrame:
    """Return a row for each cell that has readings: bucket, entity, tag and value.

    A cell without a usable reading has no row, because its value is missing and not 0.

    Args:
        readings: N readings in order of arrival, with bucket, entity, tag, time, number and word.
        aggregations: how the readings of a tag become one value: one aggregation for all tags, or
            tag -> aggregation. The default for a tag is the mean of its numbers, or its last word
            if no reading is a number.
        every: microseconds from one bucket to the next.
    """
    ordered = readings.sort_values("time", kind="stable", ignore_index=True)
    tags = ordered["tag"].astype(str)
    by_tag = {tag: _named(aggregations, tag) for tag in tags.unique()}
    ways = tags.map(by_tag)
    parts = [_BY_NAME[way](ordered[ways == way], every) for way in ways.unique()]
    if not parts:
        return pd.DataFrame({name: [] for name in (*_CELL, "value")})
    return pd.concat([part.astype({"value": object}) for part in parts], ignore_index=True)


def without_numbers(
    readings: pd.DataFrame, aggregations: Mapping[str, str] | str
) -> dict[str, str]:
    """Return the tags whose aggregation needs numbers although all their readings are words.

    The result maps each tag to an example of its words. A number with a decimal comma, such as
    12,5, is also a word.
    """
    found = {}
    words = readings[readings["word"].notna() & readings["number"].isna()]
    for tag, own in words.groupby(words["tag"].astype(str)):
        same = (readings["tag"] == tag) & readings["number"].notna()
        if _named(aggregations, str(tag)) in _OF_NUMBERS and not same.any():
            found[str(tag)] = str(own["word"].iloc[0])
    return found


def _named(aggregations: Mapping[str, str] | str, tag: str) -> str:
    return aggregations if isinstance(aggregations, str) else aggregations.get(tag, _AUTO)


def _by_numbers(how: str) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def of(readings: pd.DataFrame, _every: int) -> pd.DataFrame:
        numbers = readings[readings["number"].notna()]
        grouped = numbers.groupby(_CELL, observed=True, sort=False)["number"]
        return grouped.agg(how).rename("value").reset_index()

    return of


def _count(readings: pd.DataFrame, _every: int) -> pd.DataFrame:
    return readings.groupby(_CELL, observed=True, sort=False).size().rename("value").reset_index()


def _one(keep: Literal["first", "last"]) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def of(readings: pd.DataFrame, _every: int) -> pd.DataFrame:
        found = readings[~readings.duplicated(_CELL, keep=keep)]
        return _with_value(found)

    return of


def _with_value(readings: pd.DataFrame) -> pd.DataFrame:
    words = readings["word"]
    value = words.where(words.notna(), readings["number"].astype(object))
    return readings[_CELL].assign(value=value)


def _auto(readings: pd.DataFrame, every: int) -> pd.DataFrame:
    plain = readings["word"].isna()
    means = _by_numbers("mean")(readings[plain], every)
    words = _one("last")(readings[~plain], every)
    both = pd.concat([means.astype({"value": object}), words], ignore_index=True)
    return both[~both.duplicated(_CELL)]  # words such as Bad among numbers do not count


def _increase(readings: pd.DataFrame, every: int) -> pd.DataFrame:
    """Return for each bucket how much a counter grew: the sum of steps between its readings.

    If a counter falls, it was reset, and then counted from 0. A step across more than one bucket
    boundary is left out, because the bucket in which the counter grew is unknown.
    """
    numbers = readings[readings["number"].notna()]
    series = numbers.groupby(["entity", "tag"], observed=True, sort=False)
    steps = numbers["number"] - series["number"].shift()
    near = numbers["bucket"] - series["bucket"].shift() <= every
    steps = steps.where(steps >= 0, numbers["number"])[near]
    cells = numbers[near].assign(number=steps)
    return (
        cells.groupby(_CELL, observed=True, sort=False)["number"]
        .sum()
        .rename("value")
        .reset_index()
    )


_BY_NAME: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "mean": _by_numbers("mean"),
    "max": _by_numbers("max"),
    "min": _by_numbers("min"),
    "sum": _by_numbers("sum"),
    "count": _count,
    "first": _one("first"),
    "last": _one("last"),
    "increase": _increase,
    _AUTO: _auto,
}


def as_table(cells: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each record (N), with a column for each tag; columns are sorted by name.

    Args:
        cells: the result of `aggregated`.
        records: (N,) bucket and entity, each pair once, in order.
    """
    index = pd.MultiIndex.from_frame(records[["bucket", "entity"]])
    tags = sorted(cells["tag"].astype(str).unique())
    columns = {}
    for tag, found in cells.groupby(cells["tag"].astype(str), sort=False):
        places = index.get_indexer(pd.MultiIndex.from_frame(found[["bucket", "entity"]]))
        values = np.full(len(records), np.nan, dtype=object)
        values[places[places >= 0]] = found["value"].to_numpy()[places >= 0]
        columns[str(tag)] = pd.Series(values, dtype=object).infer_objects()
    return pd.DataFrame({tag: columns[tag] for tag in tags}, index=range(len(records)))
