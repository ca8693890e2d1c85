"""Finds marks for missing cells: numbers such as -999, far from all other numbers of a column."""

from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Rows, Values

FAR = 1.0
"""A known mark that occurs several times must have at least this distance from the range of the
other cells. The unit is the width of this range."""

VERY_FAR = 5.0
"""A known mark that occurs once, and any other number that is repeated, must have at least this
distance, in the unit of `FAR`. A number that is so far away is not part of the column's scale."""

MOST_SHARE = 0.5
"""Largest share of a column's cells that may hold marks."""

SUSPECT_SHARE = 0.02
"""Largest share of a column's cells that may hold far numbers which are not known marks. With a
larger share, the far numbers are a state of the column."""

LEAST_CELLS = 50
"""Least number of cells of a column in which far numbers are searched."""

_WORDS = (2**15 - 1, 2**15, 2**16 - 2, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
"""Largest values of registers. Records hold these values, or these values with up to three
decimals."""

_LEAST_NINES = 99
_OTHERS = (999.25, 9999.25)
_NEARLY = 1e-6


class FarNumbers(NamedTuple):
    """Numbers that are far from all other numbers of a column and not part of its scale.

    Attributes:
        marks: known marks for missing cells.
        suspects: other far numbers; each of them occurs more than once.
    """

    marks: tuple[float, ...] = ()
    suspects: tuple[float, ...] = ()


def is_known_mark(number: float) -> bool:
    """Return whether loggers write this number for a missing cell: nines, or a register's maximum.

    >>> is_known_mark(-999.0), is_known_mark(6553.5), is_known_mark(8.0)
    (True, True, False)
    """
    size = abs(number)
    if set(f"{size:.10g}".replace(".", "")) == {"9"}:
        return size >= _LEAST_NINES
    return size in _OTHERS or any(
        abs(size * scale - word) < _NEARLY for scale in (1, 10, 100, 1000) for word in _WORDS
    )


def find_far_numbers(numbers: Values) -> FarNumbers:
    """Find the numbers of a column (N,) that are far from its other numbers; NaN is missing."""
    present = numbers[~np.isnan(numbers)]
    if len(present) < LEAST_CELLS:
        return FarNumbers()
    values, counts = np.unique(present, return_counts=True)
    marks = _marks(values, counts)
    left = ~np.isin(values, marks)
    return FarNumbers(marks, _suspects(values[left], counts[left]))


def _marks(values: Values, counts: Rows) -> tuple[float, ...]:
    # Only values at the ends can be far outside, and to look at all values would take long.
    ends = np.unique(np.r_[np.arange(len(values))[:4], np.arange(len(values))[-4:]])
    known = np.zeros(len(values), dtype=bool)
    known[ends] = [is_known_mark(value) for value in values[ends]]
    if not known.any() or counts[known].sum() > MOST_SHARE * counts.sum():
        return ()
    low, high = values[~known].min(), values[~known].max()
    spread = float(high - low) or max(abs(float(high)), _LEAST_NINES)
    gaps = np.maximum(low - values, values - high)
    far = known & (gaps >= np.where(counts > 1, FAR, VERY_FAR) * spread)
    return tuple(values[far].tolist())


def _suspects(values: Values, counts: Rows) -> tuple[float, ...]:
    """Return the numbers at either end that a wide gap separates from a column's other numbers.

    The gap is more than `VERY_FAR` times as wide as the range of the other numbers. Each returned
    number occurs more than once.
    """
    if len(values) < 3:  # noqa: PLR2004 -- two values are two states
        return ()
    most = SUSPECT_SHARE * counts.sum()
    found: list[float] = []
    for turn in (1, -1):
        outward, each = turn * values[::turn], counts[::turn]
        middle = int(np.searchsorted(np.cumsum(each), counts.sum() / 2))
        beyond = np.cumsum(each[::-1])[::-1] <= most
        start = int(np.searchsorted(np.cumsum(each), most))
        spans = outward[:-1] - outward[start]  # without far numbers at the other end
        wide = (np.diff(outward) > VERY_FAR * spans) & beyond[1:] & (spans > 0)
        wide[:middle] = False
        first = np.flatnonzero(wide)
        if first.size and (each[first[0] + 1 :] > 1).all():
            found += (turn * outward[first[0] + 1 :]).tolist()
    return tuple(found)
