"""Reading a table's columns: which values are there, and as what they may be judged."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.config.schema import ColumnSettings
from aemon.errors import FrameError

Kind = Literal["numeric", "boolean", "categorical", "context", "ignored"]

READABLE_SHARE = 0.95
"""Text is taken as numbers when at least this share of its values can be read as such."""

MOST_CATEGORIES = 50
"""More different texts than this are a name or a note: a code cannot learn them."""

RECORDS_PER_CATEGORY = 2
"""Fewer records a category than this on average, and the next record brings a new one."""

IDENTIFIER_SHARE = 0.9
"""A text column with at least this share of different values identifies its records."""

LARGEST_NUMBER = 1e100
"""Beyond this a number is a sentinel, not a measurement; its square would leave float64."""

_UNREAD = {
    "M": "a time; only the event time is used",
    "m": "a length of time; give it as a number of seconds",
    "c": "complex numbers; give the parts as columns of their own",
}
"""Types of NumPy, by the letter of their kind, that are not judged, and what to do about it."""

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReport:
    """What one column was taken for, and why."""

    column: str
    kind: Kind
    reason: str


def named_columns(values: pd.DataFrame) -> pd.DataFrame:
    """The same table with text as column names.

    Raises:
        FrameError: two columns have the same name.
    """
    names = [str(name) for name in values.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FrameError(
            f"more than one column is named {', '.join(map(repr, twice))}",
            todo="give each column a name of its own, in SQL with AS",
        )
    return values.set_axis(names, axis=1)


def check_configured(columns: ColumnSettings, there: list[str]) -> None:
    """Hold the configured names against the columns that are there.

    Raises:
        FrameError: a configured column is not there.
    """
    for key, names in (
        ("include", columns.include or ()),
        ("exclude", columns.exclude),
        ("kinds", tuple(columns.kinds)),
    ):
        for name in names:
            if name in there:
                continue
            near = get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise FrameError(
                f"column {name!r}, named under columns.{key}, is not in the records",
                todo=f"{hint}there are: {', '.join(there) or 'none'}",
            )


def is_absent(values: "pd.Series[Any]") -> npt.NDArray[np.bool_]:
    """Which cells hold nothing (N,): null, or text of blanks alone."""
    absent = values.isna().to_numpy(dtype=bool, copy=True)
    if not _is_plain(values):
        blank = [isinstance(value, str) and not value.strip() for value in values]
        absent |= np.array(blank, dtype=bool)
    return absent


def read_numbers(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """Cells as numbers (N,); NaN where a cell is missing, unreadable, infinite or a sentinel."""
    if values.dtype.kind in _UNREAD:  # to_numeric would take a time as so many nanoseconds
        return np.full(len(values), np.nan)
    numbers = (
        values if _is_plain(values) else pd.to_numeric(values.astype(object), errors="coerce")
    ).to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    return finite(numbers)


def finite(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Replace in place what is infinite or beyond `LARGEST_NUMBER` by NaN, the missing cell."""
    with np.errstate(invalid="ignore"):
        numbers[~(np.abs(numbers) <= LARGEST_NUMBER)] = np.nan
    return numbers


def read_booleans(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """Cells as 0.0 and 1.0 (N,), words such as yes and off included; NaN where unreadable."""
    numbers = read_numbers(values)
    if _is_plain(values):
        return numbers
    texts, codes = read_texts(values)
    known = [1.0 if t.lower() in _TRUE else 0.0 if t.lower() in _FALSE else np.nan for t in texts]
    words = np.array([*known, np.nan])[codes]
    return np.where(np.isnan(numbers), words, numbers)


def read_texts(values: "pd.Series[Any]") -> tuple[list[str], npt.NDArray[np.intp]]:
    """The different texts of a column, and each cell's place among them (N,), -1 for missing."""
    codes, found = pd.factorize(values.astype(object))
    places: dict[str, int] = {}
    place_of = np.full(len(found) + 1, -1, dtype=np.intp)  # the last stays for missing cells
    for code, value in enumerate(found):
        text = text_of(value)
        if text:
            place_of[code] = places.setdefault(text, len(places))
    return list(places), place_of[codes]


def text_of(value: object) -> str:
    """One category's name: 1, 1.0 and "1" are the same, for a null turns integers to floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def choose_kind(values: "pd.Series[Any]") -> tuple[Kind, str]:
    """What a column is taken for when the configuration does not say, and why."""
    absent = is_absent(values)
    observed = int((~absent).sum())
    if observed == 0:
        return "ignored", "every value missing"
    if values.dtype.kind in _UNREAD:
        return "ignored", _UNREAD[values.dtype.kind]
    kept = values[~absent]
    if all(isinstance(value, bool | np.bool_) for value in kept):
        return "boolean", "true and false"
    numbers = read_numbers(kept)
    if _is_plain(values):
        return _choose_number(numbers, "numbers")
    readable = int((~np.isnan(numbers)).sum())
    if readable >= READABLE_SHARE * observed:
        return _choose_number(numbers, f"text, {readable} of {observed} readable as numbers")
    return _choose_text(kept, observed)


def _choose_number(numbers: npt.NDArray[np.float64], what: str) -> tuple[Kind, str]:
    present = numbers[~np.isnan(numbers)]
    if present.size == 0:
        return "ignored", "every value missing or infinite"
    if present.min() == 0 and present.max() == 1 and np.isin(present, (0, 1)).all():
        return "boolean", f"{what}, 0 and 1 alone"
    return "numeric", what


def _choose_text(kept: "pd.Series[Any]", observed: int) -> tuple[Kind, str]:
    different = len(read_texts(kept)[0])
    if different >= IDENTIFIER_SHARE * observed and different > RECORDS_PER_CATEGORY:
        return "ignored", f"an identifier: {different} different texts in {observed} records"
    if different > MOST_CATEGORIES:
        return "ignored", f"free text: {different} different texts, more than {MOST_CATEGORIES}"
    if different * RECORDS_PER_CATEGORY > observed:
        return "ignored", f"free text: {different} different texts in {observed} records"
    return "categorical", f"text, {different} different"


def _is_plain(values: "pd.Series[Any]") -> bool:
    """Whether the column's type alone says that its cells are numbers or booleans."""
    dtype = values.dtype
    return bool(pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))
