"""Records with fewer decimals than in training: rounded values move towards the expected values."""

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.scoring.residuals import residuals_of
from aemon.detection.scoring.scorer import Scorer

HIDDEN = 0.3
"""Largest effect of rounding, in spreads, with which the observed value of a feature is used. If
the effect is larger, the feature is estimated from the other features."""

FILL_ROUNDS = 2


def as_expected_within(
    scorer: Scorer,
    X: Floats,  # noqa: N803 -- (N, F)
    mask: Mask,
    slack: Floats,
) -> Floats:
    """Return features (N, F) moved towards expected values, at most by the effect of rounding.

    Args:
        scorer: scorer of the detector.
        X: (N, F), 0 where missing.
        mask: (N, F), True for observed cells.
        slack: (F,) largest effect of rounding, in spreads.
    """
    known = mask & (slack <= HIDDEN)
    if not known[:, scorer.space.weights > 0].any():
        known = mask
    guessed = scorer.space.guess(np.where(known, X, np.float32(0)), known)
    expected = residuals_of(scorer.autoencoder, guessed, known, rounds=FILL_ROUNDS).reconstruction
    moved: Floats = X + np.clip(expected - X, -slack, slack) * mask
    return moved
