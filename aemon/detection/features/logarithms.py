"""Logarithms of skewed columns, as features in addition to the features of the columns.

A column of bytes, durations or concentrations has values of different orders of magnitude. Without
a logarithm, the many small values are almost equal; in a logarithm, the few large values are almost
equal. 8 of 20 public tables have such columns. On these tables, both features together raised AUROC
by 0.6 points and average precision by 2.5 points. The logarithm alone lowered both figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Values
from aemon.errors import FrameError

SKEWED = 2.0
"""Largest skewness of a column without a logarithm; an exponential distribution has a skewness of
2."""

LEAST_DISTINCT = 20
"""A column with at most this number of different values is a state or a small count, and has no
logarithm."""

OFFSET = 0.05
"""Number that is added before the logarithm, in medians of the positive values. This number
prevents extreme logarithms of zeros, and of rounded numbers near zero."""


JUDGED_WITH = "; judged with its logarithm"
"""Text that is added to the reason for the kind of a column with a logarithm."""

LEAST_SCALE = 1e-300
"""Least scale of a logarithm; a division by a smaller scale overflows."""


@dataclass(frozen=True, kw_only=True)
class Logarithm:
    """The logarithm of a column, as a feature in addition to the column's own feature.

    Attributes:
        column: name of the column.
        place: index of the column in the scaled columns.
        scale: median of the column's positive values in training, in the column's unit.
    """

    column: str
    place: int
    scale: float

    def of(self, numbers: Values) -> Values:
        """Return `log(x / scale + OFFSET)` of numbers x (N,); negative numbers count as 0."""
        return np.log(np.maximum(numbers, 0) / self.scale + OFFSET)

    def most_slack(self, half_step: float) -> float:
        """Return the largest change of the logarithm if a number is rounded by `half_step`.

        The largest change is the slope of the logarithm at 0, times `half_step`.
        """
        return half_step / (OFFSET * self.scale)


def logarithm_of(
    column: str, place: int, numbers: Values, columns: ColumnSettings
) -> Logarithm | None:
    """Return the logarithm of a column; None if the column is judged without a logarithm.

    A column has a logarithm if the settings name the column. By default, a column has a logarithm
    if its numbers are skewed and none of them is negative.

    Args:
        column: name of the column.
        place: index of the column in the scaled columns.
        numbers: (N,) numbers of the training, without missing numbers.
        columns: the settings of the columns.

    Raises:
        FrameError: a configured column has a negative value, or no value above 0.
    """
    if not isinstance(columns.logarithms, str):
        return _configured(column, place, numbers) if column in columns.logarithms else None
    if columns.logarithms == "none" or numbers.size <= LEAST_DISTINCT or numbers.min() < 0:
        return None
    spread = float(numbers.std())
    if spread <= 0 or len(np.unique(numbers)) <= LEAST_DISTINCT:
        return None
    skewness = float((((numbers - numbers.mean()) / spread) ** 3).mean())
    return _scaled(column, place, numbers) if skewness > SKEWED else None


def _configured(column: str, place: int, numbers: Values) -> Logarithm:
    if (numbers < 0).any() or (found := _scaled(column, place, numbers)) is None:
        least = float(numbers.min(initial=0))
        raise FrameError(
            f"columns.logarithms: column {column!r} has no logarithm: its least value is {least:g}",
            todo="name columns with values of 0 or above, not all of them 0",
        )
    return found


def _scaled(column: str, place: int, numbers: Values) -> Logarithm | None:
    positive = numbers[numbers > 0]
    scale = float(np.median(positive)) if positive.size else 0.0
    if scale < LEAST_SCALE:
        return None
    return Logarithm(column=column, place=place, scale=scale)


def logarithms(numbers: Values, chosen: Sequence[Logarithm]) -> Values:
    """Return the logarithms (N, L) of the chosen columns, from all scaled columns (N, scaled)."""
    return np.stack([one.of(numbers[:, one.place]) for one in chosen], axis=1)
