"""Scores of records that may have been learned from, each held against the others alone."""

import numpy as np
import numpy.typing as npt

from aemon.detection.scorer import Scorer, combine
from aemon.detection.scoring import residuals_of
from aemon.detection.space import BLOCK_RECORDS, Space

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]


def scores_apart(scorer: Scorer, X: Floats, mask: Mask) -> Values:  # noqa: N803 -- (N, F)
    """As `Scorer.scores` (N,), but no record is its own nearest neighbour.

    A prototype lies at distance 0 from itself, so that no record learned from would ever look
    odd. Held against the others it is scored as the threshold was calibrated.

    Args:
        scorer: of the detector.
        X: (N, F), 0 where missing.
        mask: (N, F), which cells were observed.
    """
    found = np.zeros(len(X))
    for start in range(0, len(X), BLOCK_RECORDS):
        block = slice(start, start + BLOCK_RECORDS)
        guessed = scorer.space.guess(X[block], mask[block])
        residuals, _ = residuals_of(scorer.autoencoder, guessed, mask[block])
        values = scorer.space.measure(
            X[block], mask[block], residuals, scorer.wanted,
            without=own_prototypes(scorer.space, X[block], mask[block]),
        ).values  # fmt: skip
        guarded = scorer.guard.scores(values["neighbour"])
        found[block] = np.maximum(combine(scorer.views, values), guarded)
    return found


def own_prototypes(space: Space, X: Floats, mask: Mask) -> Rows:  # noqa: N803 -- (N, F)
    """The prototype (N,) that is a record itself, equal in every cell observed; -1 for none."""
    scaled = space.scaled(X)
    _, nearest = space.prototypes.nearest(scaled, mask)
    rows = nearest[:, 0]
    same = (space.prototypes.points[rows] == scaled) | ~mask
    return np.where(same.all(axis=1), rows, -1)
