"""The bounds of features: a record out of bounds is not used as context of later records."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.series.windows import Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """Bounds of features, relative to their mean, with a wide margin around the training values.

    Attributes:
        lows: (F,) lower bounds.
        highs: (F,) upper bounds.
    """

    lows: Floats
    highs: Floats

    def holds(self, cells: Floats) -> Mask:
        """Return a mask (...,) of records whose first F cells are within the bounds.

        The records have F or more cells (..., F+).
        """
        cells = cells[..., : len(self.lows)]
        return np.asarray(((cells >= self.lows) & (cells <= self.highs)).all(axis=-1), dtype=bool)

    def held_in(self, windows: Windows) -> Windows:
        """Return windows in which earlier records that are out of bounds are replaced.

        The next newer record takes the place of a replaced record. A record that does not exist is
        replaced in the same way.
        """
        cells, present = windows.cells.copy(), windows.present.copy()
        inside = self.holds(cells)
        for lag in range(1, cells.shape[1]):
            rows = ~inside[:, lag]
            cells[rows, lag] = cells[rows, lag - 1]
            present[rows, lag] = False
        return Windows(cells, present)
