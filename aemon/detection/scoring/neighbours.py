"""Nearest normal records: distances from records to prototypes, block by block, in NumPy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows

BLOCK_RECORDS = 256
"""Number of records in one block of distances: a block stays in the processor's cache."""

MOST_PROTOTYPES = 4_000
"""Largest number of normal records that are kept as prototypes. More prototypes take more time
with little gain."""

GROUPS = 64
"""Number of groups into which prototypes are divided, to search for a few nearest prototypes."""

FEW = 10
"""Largest number of neighbours for which a search by groups is quicker than a full search."""

FEW_OF = 16
"""`Prototypes.few` keeps every sixteenth prototype. The distance to the nearest kept prototype is
an upper bound of the distance to the nearest prototype."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prototypes:
    """Normal records, with which new records are compared.

    Attributes:
        points: (P, D) the normal records, without missing cells.
    """

    points: Floats

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def few(self) -> "Prototypes":
        """Every `FEW_OF`-th prototype, for upper bounds of the distances to nearest prototypes."""
        return Prototypes(points=self.points[::FEW_OF])

    @cached_property
    def _squares(self) -> Floats:
        squares: Floats = self.points * self.points
        return squares

    @cached_property
    def _factors(self) -> Floats:
        """Matrix (D + 1, P') for distances: [record, 1] times this matrix is |p|^2 - 2 x.p.

        Prototypes at infinite distance are added, so that P' is a multiple of the number of groups.
        """
        count, width = self.points.shape
        padded = -(-count // GROUPS) * GROUPS
        factors = np.zeros((width + 1, padded), dtype=np.float32)
        factors[:width, :count] = -2 * self.points.T
        factors[width, :count] = self._squares.sum(axis=1)
        factors[width, count:] = np.inf
        return factors

    def nearest(
        self,
        X: Floats,  # noqa: N803 -- (N, D)
        mask: Mask | None = None,
        *,
        k: int = 1,
        without: Rows | None = None,
    ) -> tuple[Floats, Rows]:
        """Return squared distances (N, k) to the k nearest prototypes, and their rows (N, k).

        The nearest prototype comes first. If there are fewer than k prototypes, all are returned.

        Args:
            X: (N, D), the records.
            mask: (N, D), True for cells that are compared; by default all cells. A record with
                missing cells is compared in its observed cells.
            k: number of neighbours.
            without: (N,) row of the prototype that is the record itself and must not be found; -1
                if no prototype is excluded.
        """
        k = min(k, len(self) - (without is not None))
        distances = np.empty((len(X), k), dtype=np.float32)
        rows = np.empty((len(X), k), dtype=np.intp)
        for start in range(0, len(X), BLOCK_RECORDS):
            block = slice(start, start + BLOCK_RECORDS)
            found = self._distances(X[block], None if mask is None else mask[block])
            if without is not None:
                own = without[block]
                known = np.flatnonzero(own >= 0)
                found[known, own[known]] = np.inf
            rows[block] = _places(found, k)
            distances[block] = np.take_along_axis(found, rows[block], axis=1)
        observed = X * X if mask is None else X * X * mask
        distances += observed.sum(axis=1)[:, None]
        return np.maximum(distances, 0, out=distances), rows

    def _distances(self, X: Floats, mask: Mask | None) -> Floats:  # noqa: N803 -- (B, D)
        """Return |p|^2 - 2 x.p (B, P'), summed over the cells that are compared."""
        with_one = np.concatenate([X, np.ones((len(X), 1), dtype=np.float32)], axis=1)
        found: Floats = with_one @ self._factors
        if mask is not None:
            gaps = np.flatnonzero(~mask.all(axis=1))
            if gaps.size:
                here = mask[gaps].astype(np.float32)
                count = len(self)
                found[gaps, :count] = here @ self._squares.T
                found[gaps, :count] -= 2 * (X[gaps] * here) @ self.points.T
        return found


def choose_prototypes(rows: Rows, most: int, *, seed: int) -> Rows:
    """Return the rows of the prototypes in order: all rows, or `most` rows chosen at random."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _places(distances: Floats, k: int) -> Rows:
    if k == 1:
        places: Rows = distances.argmin(axis=1)[:, None]
        return places
    return _smallest_by_group(distances, k) if k <= FEW else _smallest(distances, k)


def _smallest(distances: Floats, k: int) -> Rows:
    """Return the places (B, k) of the k smallest values in each row, the smallest first."""
    chosen = np.argpartition(distances, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distances, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _smallest_by_group(distances: Floats, k: int) -> Rows:
    """Return the places (B, k) of the k smallest values in each row, by a search in groups.

    The k smallest values are in the k groups with the smallest minima. With 4,000 prototypes this
    search takes two thirds of the time of a full search for k = 5, and half of the time for k = 2.
    """
    grouped = distances.reshape(len(distances), -1, GROUPS)
    groups = np.argpartition(grouped.min(axis=1), k - 1, axis=1)[:, :k]
    starts = GROUPS * np.arange(grouped.shape[1])
    places = (starts[:, None] + groups[:, None, :]).reshape(len(distances), -1)
    chosen = _smallest(np.take_along_axis(distances, places, axis=1), k)
    return np.take_along_axis(places, chosen, axis=1)
