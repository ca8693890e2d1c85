"""Reading the learned columns of a table, each once: numbers, texts, and what cannot be read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aemon.detection.arrays import Mask, Values
from aemon.detection.features.cells import (
    Categories,
    are_opaque,
    example_of,
    finite,
    is_absent,
    read_cells,
    read_numbers,
    read_texts,
)
from aemon.detection.features.readings import AS_IS, Reading
from aemon.errors import FrameError
from aemon.records import UnreadableColumn

UNREADABLE_SHARE, LEAST_UNREADABLE = 0.5, 20
"""More unreadable cells than this share of those present are told; where no judged column is left
and there are so many of each, the columns have changed their type."""


def check_there(values: pd.DataFrame, judged: Sequence[str]) -> None:
    """Hold the columns of records against those that a detector judges.

    Raises:
        FrameError: one of them is missing.
    """
    for name in judged:
        if name not in values.columns:
            raise FrameError(
                f"column {name!r}, which this detector learned from, is missing; "
                f"there are: {', '.join(values.columns) or 'none'}",
                todo="restore the column, or train again with `aemon train`",
            )


def read_scaled(
    values: pd.DataFrame,
    names: Sequence[str],
    booleans: Collection[str],
    readings: Mapping[str, Reading],
) -> tuple[Values, list[UnreadableColumn]]:
    """Read columns as numbers (N, K), NaN where missing, and name those mostly unreadable.

    A column that is not there is missing.
    """
    if all(name in values.columns and _is_numpy_number(values[name]) for name in names):
        # the common case, in one conversion
        numbers = finite(values[list(names)].to_numpy(dtype=np.float64, copy=True))
        for place, name in enumerate(names):
            if name in readings and (marks := readings[name].marks):
                numbers[np.isin(numbers[:, place], marks), place] = np.nan
        return numbers, []
    numbers = np.full((len(values), len(names)), np.nan)
    found: list[UnreadableColumn] = []
    for place, name in enumerate(names):
        if name not in values.columns:
            continue
        column = readings.get(name, AS_IS).prepare(values[name])
        if _is_numpy_number(column):
            numbers[:, place] = read_numbers(column)
            continue
        cells = read_cells(column, truths=name in booleans)
        numbers[:, place] = cells.numbers
        found += _mostly(column, cells.present, cells.unreadable, "numbers")
    return numbers, found


def read_categories(
    values: pd.DataFrame, names: Sequence[str], readings: Mapping[str, Reading]
) -> tuple[dict[str, Categories], list[UnreadableColumn]]:
    """Read columns as texts, None where a column is not there, and name those mostly unreadable."""
    texts: dict[str, Categories] = {}
    found: list[UnreadableColumn] = []
    for name in names:
        texts[name] = None
        if name not in values.columns:
            continue
        column = readings.get(name, AS_IS).prepare(values[name])
        texts[name] = read_texts(column)
        opaque = are_opaque(column)
        if opaque.any():
            found += _mostly(column, ~is_absent(column), opaque, "text")
    return texts, found


def check_readable(unreadable: Sequence[UnreadableColumn], judged: Collection[str]) -> None:
    """Hold what cannot be read against the judged columns.

    Raises:
        FrameError: none of them is left.
    """
    many = {each.column: each for each in unreadable if each.count >= LEAST_UNREADABLE}
    if not judged or not set(judged) <= many.keys():
        return
    first = next(many[name] for name in judged)
    raise FrameError(
        f"column {first.column!r}, learned as {first.learned}, now holds "
        f"{first.example} and {first.count} of {first.present} values cannot "
        f"be read as {first.learned}",
        todo="restore the column, or train again with `aemon train`",
    )


def _is_numpy_number(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _mostly(
    column: "pd.Series[Any]", present: Mask, unreadable: Mask, learned: str
) -> list[UnreadableColumn]:
    count, there = int(unreadable.sum()), int(present.sum())
    if count <= UNREADABLE_SHARE * there:
        return []
    example = example_of(column, unreadable)
    return [
        UnreadableColumn(
            column=str(column.name), count=count, present=there, example=example, learned=learned
        )
    ]
