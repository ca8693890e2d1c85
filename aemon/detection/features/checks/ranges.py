"""Configured ranges: a number outside of its column's range is flagged, even if it is usual."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Mask, Values
from aemon.detection.features.checks.firsts import Never
from aemon.detection.features.columns import shortened
from aemon.errors import FrameError


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The range of numbers that is allowed in a column.

    Attributes:
        column: name of the column.
        low: least number that is allowed; None without a lower end.
        high: largest number that is allowed; None without an upper end.
    """

    column: str
    low: float | None
    high: float | None

    def outside(self, numbers: Values) -> Mask:
        """Return a mask (N,) of the numbers outside of the range; False for missing numbers."""
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        with np.errstate(invalid="ignore"):
            return np.asarray((numbers < low) | (numbers > high), dtype=bool)

    def reason(self, observed: float | bool | str | None) -> str:
        """Return the reason for flagging a record outside of the range.

        >>> Range(column="level", low=0, high=None).reason(-1.5)
        'level -1.5 is outside of its range, 0 or more'
        """
        text = f"{self.low:.10g} to {self.high:.10g}" if None not in (self.low, self.high) else ""
        if self.high is None:
            text = f"{self.low:.10g} or more"
        elif self.low is None:
            text = f"{self.high:.10g} or less"
        return f"{shortened(self.column)} {observed:.10g} is outside of its range, {text}"


def ranges_of(columns: ColumnSettings, numeric: Sequence[str]) -> tuple[Range, ...]:
    """Return the configured ranges.

    Args:
        columns: the settings of the columns.
        numeric: names of the columns that are read as numbers.

    Raises:
        FrameError: a range is configured for a column that is not read as numbers.
    """
    for name in columns.ranges:
        if name not in numeric:
            raise FrameError(
                f"columns.ranges: {name!r} is not judged as numbers",
                todo=f"give its kind, columns.kinds: {{{name}: numeric}}, or leave its range out",
            )
    return tuple(
        Range(column=name, low=low, high=high) for name, (low, high) in columns.ranges.items()
    )


def outside_of(ranges: Sequence[Range | Never], names: Sequence[str], numbers: Values) -> Mask:
    """Return a mask (N, R): True where a record's number is outside of a range.

    For an item of `ranges` that is a `Never`, True marks a kind of cell that the column never had
    in training.

    Args:
        ranges: (R,) the ranges.
        names: (K,) names of the columns.
        numbers: (N, K) cells of the columns, NaN where missing.
    """
    found = np.zeros((len(numbers), len(ranges)), dtype=bool)
    for place, one in enumerate(ranges):
        found[:, place] = one.outside(numbers[:, names.index(one.column)])
    return found
