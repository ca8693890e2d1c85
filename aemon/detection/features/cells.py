"""Reading a column's cells as numbers, booleans or texts: an unreadable cell is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from math import inf
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Mask, Rows, Values
from aemon.detection.features.checks.repeats import Lengths, Repeats
from aemon.detection.features.increases import Counts
from aemon.records import UnreadableColumn
from aemon.texts import cut

Sort = Literal["boolean", "number", "text", "time", "duration", "complex", "nested", "binary"]

LARGEST_NUMBER = 1e100
"""A larger number is a sentinel, not a measurement; its square would overflow float64."""

OPAQUE: tuple[Sort, ...] = ("nested", "binary")
"""Sorts of cells that have no text to name a category by."""

_LEGIBLE: tuple[Sort, ...] = ("number", "boolean", "text")

EXAMPLE_LENGTH = 60
"""Characters of an unreadable cell that an error shows."""

_UNREAD_DTYPES: dict[str, Sort] = {"M": "time", "m": "duration", "c": "complex"}
"""NumPy types, by the letter of their kind, with cells that are not measurements."""

_NOT_A_NUMBER = frozenset({"", "nan", "+nan", "-nan"})
_INFINITE = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


Categories = tuple[list[str], Rows] | None
"""A column's distinct texts, and the index of each record's text among them (N,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A column's N cells read as numbers.

    Attributes:
        numbers: (N,) NaN where the cell holds no number.
        missing: (N,) True where the cell holds nothing: null, blank or "nan".
        infinite: (N,) True where the cell holds an infinity or a sentinel; it is missing, too.
    """

    numbers: Values
    missing: Mask
    infinite: Mask

    @property
    def present(self) -> Mask:
        """Mask (N,) of the cells that are neither missing nor infinite."""
        return ~(self.missing | self.infinite)

    @property
    def unreadable(self) -> Mask:
        """Mask (N,) of the cells that hold something different from a number."""
        return self.present & np.isnan(self.numbers)


class Modes(NamedTuple):
    """The modes of N records."""

    texts: npt.NDArray[np.object_]  # (N,) empty where missing
    codes: Rows  # (N,) the index of each among the modes of the training, or less than 0

    def take(self, rows: Rows | Mask) -> "Modes":
        """Return the modes of the records at these rows."""
        return Modes(self.texts[rows], self.codes[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordCells:
    """The learned columns of N records as they were read, before they become features.

    Attributes:
        numbers: (N, K) the scaled columns, NaN where missing.
        texts: categorical column -> its distinct texts, and the index of each record's text
            among them (N,), -1 where missing; None where the column is absent.
        angles: (N, A) the angles in degrees, NaN where missing.
        moved: (N, constants) True where a constant has a value different from training.
        frozen: (N, limits) how often in a row a column held its number, where that is above its
            limit; else 0.
        outside: (N, ranges) True where a number lies outside of a configured range, or where a cell
            is what its column never had in training.
        new_pairs: (N, pairs) True where two values stand together that never did in training.
        repeats: the last number of each column and how often it was repeated, per entity; the
            next records continue from there.
        counts: the last numbers of the counters.
        modes: the mode of each record; None where no column holds modes.
        unreadable: the columns of which most cells could not be read, over all records read.
    """

    numbers: Values
    texts: Mapping[str, Categories]
    angles: Values
    moved: Mask
    frozen: Lengths
    outside: Mask
    new_pairs: Mask
    repeats: Repeats
    counts: Counts = field(default_factory=Counts)
    modes: Modes | None = None
    unreadable: tuple[UnreadableColumn, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Rows | Mask) -> "RecordCells":
        """Return the cells of the records at these rows."""
        texts = {
            name: (read[0], read[1][rows]) if read is not None else None
            for name, read in self.texts.items()
        }
        return RecordCells(
            numbers=self.numbers[rows],
            texts=texts,
            angles=self.angles[rows],
            moved=self.moved[rows],
            frozen=self.frozen[rows],
            outside=self.outside[rows],
            new_pairs=self.new_pairs[rows],
            repeats=self.repeats,
            counts=self.counts,
            modes=self.modes.take(rows) if self.modes is not None else None,
            unreadable=self.unreadable,
        )


def read_cells(values: "pd.Series[Any]", *, truths: bool = False) -> Cells:
    """Return cells as numbers; with `truths`, words such as yes and off are read as 1 and 0."""
    raw = _raw_numbers(values)
    infinite = np.abs(raw) > LARGEST_NUMBER
    missing = values.isna().to_numpy(dtype=bool, copy=True)
    if not is_plain(values):
        for row in np.flatnonzero(np.isnan(raw) & ~missing):
            word = values.iloc[row]
            word = word.strip().lower() if isinstance(word, str) else "a thing"
            missing[row] = word in _NOT_A_NUMBER
            infinite[row] = word in _INFINITE
    numbers = finite(raw)
    return Cells(
        numbers=_with_words(values, numbers) if truths else numbers,
        missing=missing,
        infinite=infinite,
    )


def read_numbers(values: "pd.Series[Any]") -> Values:
    """Return cells as numbers (N,); NaN for a missing, unreadable, infinite or sentinel cell."""
    return finite(_raw_numbers(values))


def read_booleans(values: "pd.Series[Any]") -> Values:
    """Return cells (N,) as numbers, with words such as yes and off as 1.0 and 0.0; else NaN."""
    return _with_words(values, read_numbers(values))


def read_texts(values: "pd.Series[Any]") -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return a column's distinct texts, and each cell's index among them (N,), -1 if missing."""
    codes, found = pd.factorize(values.astype(object).mask(are_opaque(values), None))
    places: dict[str, int] = {}
    place_of = np.full(len(found) + 1, -1, dtype=np.intp)  # the last entry is for missing cells
    for code, value in enumerate(found):
        text = text_of(value)
        if text:
            place_of[code] = places.setdefault(text, len(places))
    return list(places), place_of[codes]


def text_of(value: object) -> str:
    """Return a category's name. 1, 1.0 and "1" are the same: a null turns integers into floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def is_absent(values: "pd.Series[Any]") -> Mask:
    """Return which cells hold nothing (N,): null, or text that is empty or blank."""
    absent = values.isna().to_numpy(dtype=bool, copy=True)
    if not is_plain(values):
        blank = [isinstance(value, str) and not value.strip() for value in values]
        absent |= np.array(blank, dtype=bool)
    return absent


def finite(numbers: Values) -> Values:
    """Replace numbers that are infinite or beyond `LARGEST_NUMBER` by NaN, in place."""
    with np.errstate(invalid="ignore"):
        numbers[~(np.abs(numbers) <= LARGEST_NUMBER)] = np.nan
    return numbers


def sort_of(cell: type) -> Sort:  # noqa: PLR0911 -- a table, read from the top
    """Return the sort of a cell of this type; a type that fits no other sort counts as text."""
    if issubclass(cell, str):
        return "text"
    if issubclass(cell, bool | np.bool_):
        return "boolean"
    if issubclass(cell, complex | np.complexfloating):
        return "complex"
    if issubclass(cell, timedelta | np.timedelta64):  # before numbers: NumPy's is an integer
        return "duration"
    if issubclass(cell, int | float | Decimal | np.number):
        return "number"
    if issubclass(cell, date | time | np.datetime64 | pd.Period):
        return "time"
    if issubclass(cell, bytes | bytearray | memoryview):
        return "binary"
    if issubclass(cell, tuple | frozenset) or cell.__hash__ is None:  # lists, dicts, arrays
        return "nested"
    return "text"


def sorts_of(values: "pd.Series[Any]") -> npt.NDArray[np.object_]:
    """Return the sort of each cell (N,); all the same where the column's type determines it."""
    unread = unread_dtype(values)
    if unread:
        return np.full(len(values), unread, dtype=object)
    if isinstance(values.dtype, pd.StringDtype):
        return np.full(len(values), "text", dtype=object)
    types = [type(value) for value in values]
    known = {cell: sort_of(cell) for cell in set(types)}
    return np.array([known[cell] for cell in types], dtype=object)


def are_opaque(values: "pd.Series[Any]") -> Mask:
    """Return which cells (N,) have no text to name a category by."""
    if is_plain(values):
        return np.zeros(len(values), dtype=bool)
    return _any_of(sorts_of(values), OPAQUE)


def _any_of(sorts: npt.NDArray[np.object_], searched: tuple[Sort, ...]) -> Mask:
    found = np.zeros(len(sorts), dtype=bool)
    for sort in searched:
        found |= sorts == sort
    return found


def unread_dtype(values: "pd.Series[Any]") -> Sort | None:
    """Return the sort of a column if its type shows that it holds no measurements; else None."""
    return _UNREAD_DTYPES.get(values.dtype.kind)


def is_plain(values: "pd.Series[Any]") -> bool:
    """Return whether the column's type shows that its cells are numbers or booleans."""
    dtype = values.dtype
    return bool(pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))


def example_of(values: "pd.Series[Any]", rows: Mask) -> str:
    """Return the first cell at these rows, cut to a length that fits an error."""
    value = values[rows].iloc[0]
    text = repr(value) if isinstance(value, str) else str(value)
    return cut(text, EXAMPLE_LENGTH)


def _raw_numbers(values: "pd.Series[Any]") -> Values:
    """Return cells as numbers (N,), infinities included."""
    if unread_dtype(values):  # to_numeric would read a time as a number of nanoseconds
        return np.full(len(values), np.nan)
    if not is_plain(values):
        legible = _any_of(sorts_of(values), _LEGIBLE)  # pandas reads b"1.5" as a number
        cells = values.astype(object).where(legible, None)
        try:
            values = pd.to_numeric(cells, errors="coerce")
        except OverflowError:  # whole numbers that are too large for a float
            values = pd.to_numeric(cells.map(_bounded), errors="coerce")
    return values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _bounded(value: object) -> object:
    return inf if isinstance(value, int) and abs(value) > LARGEST_NUMBER else value


def _with_words(values: "pd.Series[Any]", numbers: Values) -> Values:
    """Return numbers (N,); a missing number becomes 1.0 for a yes word, 0.0 for a no word."""
    if is_plain(values):
        return numbers
    texts, codes = read_texts(values)
    known = [1.0 if t.lower() in _TRUE else 0.0 if t.lower() in _FALSE else np.nan for t in texts]
    words = np.array([*known, np.nan])[codes]
    return np.where(np.isnan(numbers), words, numbers)
