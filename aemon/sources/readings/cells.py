"""Values of readings, split into numbers and words."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import printable

Numbers = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]

_MISSING = frozenset({"", "nan", "null", "none", "n/a"})
"""Words for a missing value; all other words are values."""


def split_cells(column: pd.Series) -> tuple[Numbers, Objects]:
    """Return the numbers (N,) and the words (N,) of a column.

    In the array of numbers, a cell that is not a number is NaN. In the array of words, a cell that
    is not a word is None. A boolean is in both arrays, with the number 1 or 0. An infinity is a
    missing value.
    """
    words = np.full(len(column), None, dtype=object)
    if column.dtype.kind in "iuf" and isinstance(column.dtype, np.dtype):
        return _finite(column.to_numpy(dtype=np.float64)), words
    cells = column.astype(object).to_numpy()
    present = ~pd.isna(cells)
    numbers = _finite(
        pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(
            dtype=np.float64, na_value=np.nan
        )
    )
    for place in np.flatnonzero(present & np.isnan(numbers)):
        cell = cells[place]
        if isinstance(cell, float):  # an infinity
            continue
        if isinstance(cell, str) and cell.strip().lower() in _MISSING:
            continue
        words[place] = cell
    for place in np.flatnonzero([isinstance(cell, bool | np.bool_) for cell in cells]):
        words[place] = bool(cells[place])
    return numbers, words


def _finite(numbers: Numbers) -> Numbers:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def texts_of(column: pd.Series) -> Objects:
    """Return identifiers (N,) as text: `12` for the number 12.0, None for a missing identifier."""
    codes, unique = pd.factorize(column.astype(object))
    texts = np.array([_text(value) for value in unique] + [None], dtype=object)
    return texts[codes]


def _text(value: object) -> str:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return printable(str(whole))
