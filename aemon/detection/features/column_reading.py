"""Reads the learned columns of a table as numbers or texts, and lists unreadable columns."""

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
"""A column is reported as unreadable if more than the share UNREADABLE_SHARE of its present cells
cannot be read. If all judged columns are unreadable, each with at least LEAST_UNREADABLE unreadable
cells, the types of the columns have changed, and this is an error."""


def check_there(values: pd.DataFrame, judged: Sequence[str]) -> None:
    """Check that the records have all columns that a detector judges.

    Raises:
        FrameError: a judged column is missing.
    """
    for name in judged:
        if name not in values.columns:
            raise FrameError(
                f"column {name!r}, which this detector was trained on, is missing; "
                f"the records have: {', '.join(values.columns) or 'none'}",
                todo="restore the column, or train again with `aemon train`",
            )


def read_scaled(
    values: pd.DataFrame,
    names: Sequence[str],
    booleans: Collection[str],
    readings: Mapping[str, Reading],
) -> tuple[Values, list[UnreadableColumn]]:
    """Read K columns as numbers (N, K), NaN where missing; also return the unreadable columns.

    All cells of an absent column are missing.
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
    """Read columns as texts, None for an absent column; also return the unreadable columns."""
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
    """Check that at least one judged column can be read.

    Raises:
        FrameError: all judged columns are unreadable.
    """
    many = {each.column: each for each in unreadable if each.count >= LEAST_UNREADABLE}
    if not judged or not set(judged) <= many.keys():
        return
    first = next(many[name] for name in judged)
    raise FrameError(
        f"column {first.column!r}, learned as {first.learned}, now holds "
        f"{first.example}, and {first.count} of {first.present} values cannot "
        f"be read as {first.learned}",
        todo="restore the column, or train again with `aemon train`",
    )


def _is_numpy_number(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _mostly(
    column: "pd.Series[Any]", present: Mask, unreadable: Mask, learned: str
) -> list[UnreadableColumn]:
    count, total = int(unreadable.sum()), int(present.sum())
    if count <= UNREADABLE_SHARE * total:
        return []
    example = example_of(column, unreadable)
    return [
        UnreadableColumn(
            column=str(column.name), count=count, present=total, example=example, learned=learned
        )
    ]
