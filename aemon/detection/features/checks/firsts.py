"""What no training record had: a missing cell, a zero, a number beyond all others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.features.columns import shortened

First = Literal["missing", "zero", "beyond"]

LEAST_RECORDS = 200
"""In fewer records a column has not shown what it never has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Never:
    """What a column never had in training.

    Attributes:
        column: its name.
        what: it never had.
        low: the least number of the training.
        high: the largest.
        records: of the training, with a number in the column.
    """

    column: str
    what: First
    low: float
    high: float
    records: int

    def outside(self, numbers: Values) -> Mask:
        """Return which numbers (N,), NaN where missing, are what the column never had."""
        if self.what == "missing":
            return np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            if self.what == "zero":
                return np.asarray(numbers == 0, dtype=bool)
            return np.asarray((numbers < self.low) | (numbers > self.high), dtype=bool)

    def reason(self, observed: float | bool | str | None) -> str:
        """Return what is said of a record that has it.

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
    column: str, numbers: Values, wanted: tuple[First | Literal["pair"], ...]
) -> Iterator[Never]:
    """What a column never had, of what is asked for; nothing where its records are few.

    Args:
        column: its name.
        numbers: (N,) of the training, NaN where missing.
        wanted: what is to be flagged when it is there for the first time; `pair` is not of one column.
    """
    there = numbers[~np.isnan(numbers)]
    if len(there) < LEAST_RECORDS:
        return
    had = {"missing": len(there) < len(numbers), "zero": bool((there == 0).any()), "beyond": False}
    low, high = float(there.min()), float(there.max())
    for what in wanted:
        if what != "pair" and not had[what]:
            yield Never(column=column, what=what, low=low, high=high, records=len(there))
