"""How the cells of a column are read: the format of numbers, and the marks for missing cells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Mask
from aemon.detection.features.cells import (
    are_opaque,
    is_absent,
    is_plain,
    read_numbers,
    sorts_of,
    text_of,
    unread_dtype,
)
from aemon.detection.features.marks import FarNumbers, find_far_numbers
from aemon.detection.features.number_texts import (
    MISSING_WORDS,
    PLAIN,
    Doubt,
    NumberFormat,
    infer_format,
    units_of,
)
from aemon.errors import FrameError

LEAST_SHARE = 0.5
"""Least share of a column's texts that must be readable with the number format of the column."""

MOST_CODES = 12
"""A column with at most this many different texts with units, such as 10mm, may hold codes."""

MOST_TEXTS = 2_000
"""Number of distinct texts from which a format is inferred: the most frequent texts."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The way in which one column's cells are read; by default, the cells are not changed.

    Attributes:
        format: the format of numbers in texts.
        missing: texts that stand for a missing cell. A number that stands for a missing cell is
            given as the text that `text_of` returns for this number.
    """

    format: NumberFormat = PLAIN
    missing: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.format != PLAIN or bool(self.missing)

    def prepare(self, values: "pd.Series[Any]") -> "pd.Series[Any]":
        """Convert formatted texts to numbers, and marks to missing cells; return the cells (N,)."""
        if not self or unread_dtype(values) or not len(values):
            return values
        if is_plain(values):
            marked = self.are_missing(values)
            return values.mask(marked) if marked.any() else values
        hashable = ~are_opaque(values)
        codes, found = pd.factorize(values.astype(object).where(hashable, None))
        cells = np.array([*map(self._cell, found), None], dtype=object)[codes]
        prepared = pd.Series(cells, index=values.index, name=values.name, dtype=object)
        return prepared.where(hashable, values)

    def are_missing(self, values: "pd.Series[Any]") -> Mask:
        """Return a mask (N,) of the numbers in a column that stand for a missing cell."""
        if pd.api.types.is_bool_dtype(values.dtype):
            return np.zeros(len(values), dtype=bool)
        return values.isin(self.marks).to_numpy(dtype=bool)

    @cached_property
    def marks(self) -> tuple[float, ...]:
        """Numbers that stand for a missing cell."""
        return tuple(number for text in self.missing if not np.isnan(number := PLAIN.number(text)))

    def _cell(self, value: object) -> object:
        if self.missing and text_of(value) in self.missing:
            return None
        if not isinstance(value, str):
            return value
        number = self.format.number(value)
        if np.isnan(number):
            return value
        return None if self.missing and text_of(number) in self.missing else number

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {"format": asdict(self.format), "missing": sorted(self.missing)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Reading":
        """Return the reading that `as_json` wrote."""
        return cls(format=NumberFormat(**stored["format"]), missing=frozenset(stored["missing"]))


AS_IS = Reading()


def find_reading(
    values: "pd.Series[Any]", name: str, columns: ColumnSettings
) -> tuple[Reading, FarNumbers]:
    """Find how a column is read, and which of its numbers stand for a missing cell.

    Known marks stand for a missing cell. Any other repeated number also stands for a missing cell
    if it is far from all other numbers, unless the kind of the column is configured. Such a
    repeated number is not an anomaly, but would make the column's scale too large.

    Raises:
        FrameError: the column's numbers can be read in two ways.
    """
    configured = frozenset(text_of(mark) for mark in columns.missing)
    reading = Reading(missing=configured)
    if unread_dtype(values) or columns.kinds.get(name) == "categorical":
        return reading, FarNumbers()
    if not is_plain(values):
        reading = Reading(format=_format(values, name, columns), missing=configured)
    if columns.kinds.get(name) == "boolean":
        return reading, FarNumbers()
    far = find_far_numbers(read_numbers(reading.prepare(values)))
    if name in columns.kinds:
        far = far._replace(suspects=())
    found = frozenset(map(text_of, (*far.marks, *far.suspects)))
    return Reading(format=reading.format, missing=configured | found), far


def _format(values: "pd.Series[Any]", name: str, columns: ColumnSettings) -> NumberFormat:
    absent = is_absent(values)
    texts = values[~absent & (sorts_of(values) == "text")].astype(str).str.strip()
    texts = texts[~texts.str.lower().isin(MISSING_WORDS)]
    plain = pd.to_numeric(texts, errors="coerce").notna()
    if not len(texts) or (plain.all() and columns.decimal in (None, ".")):
        return PLAIN
    counts = texts.value_counts().head(MOST_TEXTS)
    found = infer_format(list(counts.index), counts.tolist(), columns.decimal)
    if found is None:
        _check_units(name, counts)
        return PLAIN
    if isinstance(found, Doubt):
        one, two = found.numbers
        raise FrameError(
            f"column {name!r} holds {found.text!r}, which is {one:.10g} or {two:.10g}",
            todo='set the mark before decimals: `columns: {decimal: ","}` or '
            f'`columns: {{decimal: "."}}`; or exclude {name!r}',
        )
    read = [not np.isnan(found.number(text)) for text in counts.index]
    if counts[read].sum() >= LEAST_SHARE * counts.sum():
        return found
    _check_units(name, counts)
    return PLAIN


def _check_units(name: str, counts: "pd.Series[int]") -> None:
    """Raise an error if a column mixes units: its cells are neither numbers nor categories.

    Raises:
        FrameError: the column mixes units.
    """
    units = units_of(list(counts.index))
    if len(units) < 2:  # noqa: PLR2004
        return
    formats = [NumberFormat(unit=unit) for unit in units]
    read = np.array([[not np.isnan(f.number(text)) for f in formats] for text in counts.index])
    each = counts.to_numpy() @ read
    if read.any(axis=1).sum() > MOST_CODES and each.min() > 1 and 2 * each.sum() > counts.sum():
        first, second = list(units.values())[:2]
        raise FrameError(
            f"column {name!r} mixes units: {first!r} and {second!r}",
            todo="use one unit in this column, or leave the column out: "
            f"`columns: {{exclude: [{name}]}}`",
        )
