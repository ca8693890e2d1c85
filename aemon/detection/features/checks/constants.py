"""Constants: columns with one value in training, and a check for records with a different value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aemon.detection.arrays import Mask, Values
from aemon.detection.features.cells import Categories
from aemon.detection.features.columns import shortened

LARGE = 100.0
"""Least absolute value of a constant that has a tolerance of 1, if the constant is a whole number:
the number may be rounded."""

HALF = 0.499
"""Tolerance for whole numbers below LARGE: 20.5 is a different set point than 20, but 20.3 may have
been rounded to 20 in training."""

SAME = 1e-6
"""Relative tolerance for the rounding of floats."""

MOST_DECIMALS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """A column that had one value in all training records.

    Attributes:
        column: name of the column.
        value: the number or text in all training records.
        tolerance: largest difference from the number that does not count as a move.
        records: number of training records with this value.
    """

    column: str
    value: float | str
    tolerance: float
    records: int

    @classmethod
    def of_number(cls, column: str, value: float, records: int) -> "Constant":
        """Return a constant with a tolerance for rounding.

        The tolerance is one unit of the last decimal. For a whole number below `LARGE`, the
        tolerance is `HALF`; for 0, the tolerance is `SAME`.
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
        """Return a mask (N,) of numbers different from the constant; False for missing numbers."""
        with np.errstate(invalid="ignore"):
            away: Mask = np.abs(numbers - float(self.value)) > self.tolerance * (1 + SAME)
        return away

    def differing(self, read: Categories, records: int) -> Mask:
        """Return a mask (N,) of texts different from the constant; False for missing texts."""
        if read is None:
            return np.zeros(records, dtype=bool)
        texts, codes = read
        different = np.array([*(text != self.value for text in texts), False])
        return different[codes]

    def reason(self, observed: object) -> str:
        """Return the reason for flagging a record with an `observed` value that is different."""
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
    """Return a mask (N, constants): True where a cell differs from its constant.

    Args:
        constants: the constants from the training.
        scaled: names of the columns of `numbers`.
        numbers: (N, scaled) cells of the scaled columns.
        texts: cells of the categorical columns.
    """
    moved = np.zeros((len(numbers), len(constants)), dtype=bool)
    for place, constant in enumerate(constants):
        if constant.column in texts:
            moved[:, place] = constant.differing(texts[constant.column], len(numbers))
        else:
            moved[:, place] = constant.moved(numbers[:, scaled.index(constant.column)])
    return moved


def decimals_of(numbers: Values) -> int:
    """Return the largest number of decimals in numbers; -1 for more than `MOST_DECIMALS`.

    >>> [decimals_of(np.array(numbers)) for numbers in ([1.25, 3.5], [4.0], [np.pi])]
    [2, 0, -1]
    """
    for places in range(MOST_DECIMALS + 1):
        scaled = numbers * 10.0**places
        if (np.abs(scaled - np.rint(scaled)) <= SAME + 4 * np.spacing(np.abs(scaled))).all():
            return places
    return -1
