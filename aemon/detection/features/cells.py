"""Reads the cells of a column as numbers, booleans or texts; an unreadable cell is missing."""

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
"""Largest absolute value of a measurement. A larger number is a mark for a missing cell, and its
square would overflow float64."""

OPAQUE: tuple[Sort, ...] = ("nested", "binary")
"""The sorts of cells whose values cannot be names of categories."""

_LEGIBLE: tuple[Sort, ...] = ("number", "boolean", "text")

EXAMPLE_LENGTH = 60
"""Largest number of characters of an unreadable cell that an error text shows."""

_UNREAD_DTYPES: dict[str, Sort] = {"M": "time", "m": "duration", "c": "complex"}
"""Letter of the kind of a NumPy type -> sort of its cells, for types that hold no measurements."""

_NOT_A_NUMBER = frozenset({"", "nan", "+nan", "-nan"})
_INFINITE = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


Categories = tuple[list[str], Rows] | None
"""A column's distinct texts, and the index (N,) of each record's text in this list, -1 where
missing; None for an absent column."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A column's N cells read as numbers.

    Attributes:
        numbers: (N,) numbers of the cells; NaN where the cell holds no finite number.
        missing: (N,) True where the cell holds no value: null, blank or "nan".
        infinite: (N,) True where the cell holds an infinity or a number above `LARGEST_NUMBER`.
            Both count as missing numbers.
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
        """Mask (N,) of the present cells that do not hold a number."""
        return self.present & np.isnan(self.numbers)


class Modes(NamedTuple):
    """The modes of N records."""

    texts: npt.NDArray[np.object_]  # (N,) each record's mode; empty text where missing
    codes: Rows  # (N,) index of each record's mode in the modes of the training, MISSING or UNSEEN

    def take(self, rows: Rows | Mask) -> "Modes":
        """Return the modes of the records at these rows."""
        return Modes(self.texts[rows], self.codes[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordCells:
    """The cells of the learned columns of N records, from which features are computed.

    Attributes:
        numbers: (N, K) cells of the scaled columns, NaN where missing.
        texts: categorical column -> its distinct texts, and the index (N,) of each record's text in
            this list, -1 where missing; None for an absent column.
        angles: (N, A) angles in degrees, NaN where missing.
        moved: (N, constants) True where a cell differs from its constant.
        frozen: (N, limits) length of the stretch of equal numbers up to this record, if the length
            is above the column's limit; else 0.
        outside: (N, ranges) True where a number is outside of a configured range, or where a cell
            is of a kind that its column never had in training.
        new_pairs: (N, pairs) True where a record has two values that no training record has
            together.
        repeats: the newest stretch of equal numbers of each entity; later records can continue
            this stretch.
        counts: the newest numbers of the counters.
        modes: the mode of each record; None if no column of modes is configured.
        unreadable: columns with mostly unreadable cells in all records that were read together.
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
    """Read cells as numbers; with `truths`, words such as yes and off are read as 1 and 0."""
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
    """Read cells as numbers (N,); a missing, unreadable, infinite or too large cell is NaN."""
    return finite(_raw_numbers(values))


def read_booleans(values: "pd.Series[Any]") -> Values:
    """Read cells as numbers (N,), and words such as yes and off as 1.0 and 0.0; else NaN."""
    return _with_words(values, read_numbers(values))


def read_texts(values: "pd.Series[Any]") -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return a column's distinct texts, and the index (N,) of each cell's text; -1 if missing."""
    codes, found = pd.factorize(values.astype(object).mask(are_opaque(values), None))
    places: dict[str, int] = {}
    place_of = np.full(len(found) + 1, -1, dtype=np.intp)  # the last entry is for missing cells
    for code, value in enumerate(found):
        text = text_of(value)
        if text:
            place_of[code] = places.setdefault(text, len(places))
    return list(places), place_of[codes]


def text_of(value: object) -> str:
    """Return the name of a category.

    The names of 1, 1.0 and "1" are the same, because a null in a column of integers turns the
    integers into floats.
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def is_absent(values: "pd.Series[Any]") -> Mask:
    """Return a mask (N,) of cells without a value: null, or a text that is empty or blank."""
    absent = values.isna().to_numpy(dtype=bool, copy=True)
    if not is_plain(values):
        blank = [isinstance(value, str) and not value.strip() for value in values]
        absent |= np.array(blank, dtype=bool)
    return absent


def finite(numbers: Values) -> Values:
    """Replace infinite numbers, and numbers above `LARGEST_NUMBER`, by NaN, in the array itself."""
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
    """Return the sort of each cell (N,); some column types have the same sort for all cells."""
    unread = unread_dtype(values)
    if unread:
        return np.full(len(values), unread, dtype=object)
    if isinstance(values.dtype, pd.StringDtype):
        return np.full(len(values), "text", dtype=object)
    types = [type(value) for value in values]
    known = {cell: sort_of(cell) for cell in set(types)}
    return np.array([known[cell] for cell in types], dtype=object)


def are_opaque(values: "pd.Series[Any]") -> Mask:
    """Return a mask (N,) of cells whose values cannot be names of categories."""
    if is_plain(values):
        return np.zeros(len(values), dtype=bool)
    return _any_of(sorts_of(values), OPAQUE)


def _any_of(sorts: npt.NDArray[np.object_], searched: tuple[Sort, ...]) -> Mask:
    found = np.zeros(len(sorts), dtype=bool)
    for sort in searched:
        found |= sorts == sort
    return found


def unread_dtype(values: "pd.Series[Any]") -> Sort | None:
    """Return the sort of a column's cells if its type cannot hold measurements; else None."""
    return _UNREAD_DTYPES.get(values.dtype.kind)


def is_plain(values: "pd.Series[Any]") -> bool:
    """Return whether the column's type shows that its cells are numbers or booleans."""
    dtype = values.dtype
    return bool(pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))


def example_of(values: "pd.Series[Any]", rows: Mask) -> str:
    """Return the first cell at these rows as text, shortened for an error text."""
    value = values[rows].iloc[0]
    text = repr(value) if isinstance(value, str) else str(value)
    return cut(text, EXAMPLE_LENGTH)


def _raw_numbers(values: "pd.Series[Any]") -> Values:
    """Return cells as numbers (N,), which may be infinite; NaN if a cell is not a number."""
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
    """Return numbers (N,); where a number is missing, the word yes gives 1.0, and no gives 0.0.

    Words such as on and true are like yes, words such as off and false are like no.
    """
    if is_plain(values):
        return numbers
    texts, codes = read_texts(values)
    known = [1.0 if t.lower() in _TRUE else 0.0 if t.lower() in _FALSE else np.nan for t in texts]
    words = np.array([*known, np.nan])[codes]
    return np.where(np.isnan(numbers), words, numbers)
