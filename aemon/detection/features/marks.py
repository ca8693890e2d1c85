"""Marks for missing: numbers such as -999 that stand for none, far outside of all others."""

from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Rows, Values

FAR = 1.0
"""Ranges of the other cells between them and a repeated number that loggers use as a mark."""

VERY_FAR = 5.0
"""The same for a mark met once, and for any other repeated number: that is no part of a scale,
whatever it means."""

MOST_SHARE = 0.5
"""Of a column's cells that marks may fill."""

APART_SHARE = 0.02
"""Of a column's cells that other numbers far outside may fill: more of them are a state."""

LEAST_CELLS = 50
"""In fewer cells than this nothing is far outside."""

_WORDS = (2**15 - 1, 2**15, 2**16 - 2, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
"""The last values of registers, as they are and with up to three decimals."""

_LEAST_NINES = 99
_OTHERS = (999.25, 9999.25)
_NEARLY = 1e-6


class Apart(NamedTuple):
    """The numbers of a column that are no part of its scale, far outside of all others.

    Attributes:
        marks: known marks for missing.
        suspects: other numbers, each exactly repeated.
    """

    marks: tuple[float, ...] = ()
    suspects: tuple[float, ...] = ()


def is_known_mark(number: float) -> bool:
    """Return whether loggers write a number for a missing one: nines, or a register's last value.

    >>> is_known_mark(-999.0), is_known_mark(6553.5), is_known_mark(8.0)
    (True, True, False)
    """
    size = abs(number)
    if set(f"{size:.10g}".replace(".", "")) == {"9"}:
        return size >= _LEAST_NINES
    return size in _OTHERS or any(
        abs(size * scale - word) < _NEARLY for scale in (1, 10, 100, 1000) for word in _WORDS
    )


def find_apart(numbers: Values) -> Apart:
    """Find the numbers of a column (N,) that lie far outside of the others; NaN is missing."""
    there = numbers[~np.isnan(numbers)]
    if len(there) < LEAST_CELLS:
        return Apart()
    values, counts = np.unique(there, return_counts=True)
    marks = _marks(values, counts)
    left = ~np.isin(values, marks)
    return Apart(marks, _suspects(values[left], counts[left]))


def _marks(values: Values, counts: Rows) -> tuple[float, ...]:
    # Only the ends can be far outside; to look at each of many values would take long.
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
    """Distinct numbers beyond a gap much wider than all others span, at either end."""
    if len(values) < 3:  # noqa: PLR2004 -- two values are two states
        return ()
    most = APART_SHARE * counts.sum()
    found: list[float] = []
    for turn in (1, -1):
        outward, each = turn * values[::turn], counts[::turn]
        middle = int(np.searchsorted(np.cumsum(each), counts.sum() / 2))
        beyond = np.cumsum(each[::-1])[::-1] <= most
        start = int(np.searchsorted(np.cumsum(each), most))
        spans = outward[:-1] - outward[start]  # numbers far outside at the other end left out
        wide = (np.diff(outward) > VERY_FAR * spans) & beyond[1:] & (spans > 0)
        wide[:middle] = False
        first = np.flatnonzero(wide)
        if first.size and (each[first[0] + 1 :] > 1).all():
            found += (turn * outward[first[0] + 1 :]).tolist()
    return tuple(found)
