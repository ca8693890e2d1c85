"""How far out a record may be and still be a past of those after it."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.series.windows import Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """Bounds of features about their middle: a wide margin around what was seen in training.

    Attributes:
        lows: (F,).
        highs: (F,).
    """

    lows: Floats
    highs: Floats

    def holds(self, cells: Floats) -> Mask:
        """Which records (...,) lie within the bounds, by their first F cells (..., F or more)."""
        cells = cells[..., : len(self.lows)]
        return np.asarray(((cells >= self.lows) & (cells <= self.highs)).all(axis=-1), dtype=bool)

    def held_in(self, windows: Windows) -> Windows:
        """Return windows without the records before that are out of bounds.

        In their place stands the next newer one, as where there is none.
        """
        cells, there = windows.cells.copy(), windows.there.copy()
        inside = self.holds(cells)
        for lag in range(1, cells.shape[1]):
            rows = ~inside[:, lag]
            cells[rows, lag] = cells[rows, lag - 1]
            there[rows, lag] = False
        return Windows(cells, there)
