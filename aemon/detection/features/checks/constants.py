"""Columns that never moved in training: their value, and which records have a different value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.features.cells import Categories
from aemon.detection.features.columns import shortened

LARGE = 100.0
"""A whole number from this size on may be a rounded value that moves by one step."""

HALF = 0.499
"""Tolerance of a smaller whole number: 20.5 is a different set point, 20.3 may be rounded to 20."""

SAME = 1e-6
"""Relative tolerance of a number for the rounding of floats."""

MOST_DECIMALS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """A column that had one value in all training records.

    Attributes:
        column: its name.
        value: its number or text.
        tolerance: largest distance from the number at which the column has not moved.
        records: number of training records with this value.
    """

    column: str
    value: float | str
    tolerance: float
    records: int

    @classmethod
    def of_number(cls, column: str, value: float, records: int) -> "Constant":
        """Return a constant with a tolerance for rounding.

        The tolerance is one unit of the last decimal. For a whole number below `LARGE` it is
        `HALF`, for 0 it is `SAME`.
        """
        places = decimals_of(np.array([value]))
        if places > 0:
            tolerance = 10.0**-places
        elif value == 0:
            tolerance = SAME
        else:
            tolerance = 1.0 if abs(value) >= LARGE else HALF
        least = SAME * max(abs(value), SAME)
        return cls(column=column, value=value, tolerance=max(tolerance, least), records=records)

    def moved(self, numbers: Values) -> Mask:
        """Return which numbers (N,) are different; a missing number is not."""
        with np.errstate(invalid="ignore"):
            away: Mask = np.abs(numbers - float(self.value)) > self.tolerance * (1 + SAME)
        return away

    def differing(self, read: Categories, records: int) -> Mask:
        """Return which texts (N,) are different; a missing text is not."""
        if read is None:
            return np.zeros(records, dtype=bool)
        texts, codes = read
        different = np.array([*(text != self.value for text in texts), False])
        return different[codes]

    def reason(self, observed: object) -> str:
        """Return the reason for flagging a record in which the column moved."""
        both = (observed, self.value)
        if isinstance(observed, bool):
            seen, usual = ("true" if value else "false" for value in both)
        else:
            seen, usual = (
                f"{v:.10g}" if isinstance(v, float) else repr(shortened(str(v))) for v in both
            )
        return (
            f"{shortened(self.column)} {seen}, where it was always {usual} "
            f"in all {self.records} training records"
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Constant":
        """Return the constant that `asdict` wrote."""
        return cls(**stored)


def moved_of(
    constants: Sequence[Constant],
    scaled: Sequence[str],
    numbers: Values,
    texts: Mapping[str, Categories],
) -> Mask:
    """Return which of the constants are different from training (N, constants).

    Args:
        constants: of the training.
        scaled: names of the columns of numbers.
        numbers: (N, scaled).
        texts: the categorical columns.
    """
    moved = np.zeros((len(numbers), len(constants)), dtype=bool)
    for place, constant in enumerate(constants):
        if constant.column in texts:
            moved[:, place] = constant.differing(texts[constant.column], len(numbers))
        else:
            moved[:, place] = constant.moved(numbers[:, scaled.index(constant.column)])
    return moved


def decimals_of(numbers: Values) -> int:
    """Return the number of decimals of the numbers; -1 for numbers without an end.

    >>> [decimals_of(np.array(numbers)) for numbers in ([1.25, 3.5], [4.0], [np.pi])]
    [2, 0, -1]
    """
    for places in range(MOST_DECIMALS + 1):
        scaled = numbers * 10.0**places
        if (np.abs(scaled - np.rint(scaled)) <= SAME + 4 * np.spacing(np.abs(scaled))).all():
            return places
    return -1
