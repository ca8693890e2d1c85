"""Firsts: a missing cell, a zero or an extreme number that a column never had in training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.features.columns import shortened

First = Literal["missing", "zero", "beyond"]

LEAST_RECORDS = 200
"""A column with fewer training records is not checked, because these records may not show all usual
values of the column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Never:
    """A kind of cell that a column never had in training.

    Attributes:
        column: name of the column.
        what: the kind: a missing cell, a zero, or (`beyond`) a number below `low` or above `high`.
        low: least number of the column in training.
        high: largest number of the column in training.
        records: number of training records with a number in the column.
    """

    column: str
    what: First
    low: float
    high: float
    records: int

    def outside(self, numbers: Values) -> Mask:
        """Return a mask (N,) of the cells of this kind; in `numbers`, a missing cell is NaN."""
        if self.what == "missing":
            return np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            if self.what == "zero":
                return np.asarray(numbers == 0, dtype=bool)
            return np.asarray((numbers < self.low) | (numbers > self.high), dtype=bool)

    def reason(self, observed: float | bool | str | None) -> str:
        """Return the reason for flagging a record with a cell of this kind.

        >>> never = Never(column="flow", what="beyond", low=1.5, high=8.0, records=3000)
        >>> never.reason(9.25)
        'flow 9.25 is beyond all 3,000 training records, 1.5 to 8'
        """
        name, among = shortened(self.column), f"in none of {self.records:,} training records"
        if self.what == "missing":
            return f"{name} is missing, as {among}"
        if self.what == "zero":
            return f"{name} is 0, as {among}"
        return (
            f"{name} {observed:.10g} is beyond all {self.records:,} training records, "
            f"{self.low:.10g} to {self.high:.10g}"
        )


def nevers_of(
    column: str, numbers: Values, firsts: tuple[First | Literal["pair"], ...]
) -> Iterator[Never]:
    """Yield each of the configured `firsts` that the column never had in training.

    Nothing is yielded for a column with fewer than `LEAST_RECORDS` numbers.

    Args:
        column: name of the column.
        numbers: (N,) numbers of the column in training, NaN where missing.
        firsts: kinds of cells to flag; `pair` is a kind for two columns and is ignored here.
    """
    present = numbers[~np.isnan(numbers)]
    if len(present) < LEAST_RECORDS:
        return
    missing, zero = len(present) < len(numbers), bool((present == 0).any())
    had = {"missing": missing, "zero": zero, "beyond": False}
    low, high = float(present.min()), float(present.max())
    for what in firsts:
        if what != "pair" and not had[what]:
            yield Never(column=column, what=what, low=low, high=high, records=len(present))
