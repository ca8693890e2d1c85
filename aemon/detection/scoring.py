"""From features to reconstruction errors and one score a record, in NumPy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.autoencoder import Autoencoder

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

BLOCK_RECORDS = 2_048
"""Records worked on at once: the temporaries of a block stay in the processor's cache."""

SHRINKAGE = 0.1
"""Share of the residuals' correlations taken away: the measured covariance of few records
exaggerates them (Ledoit & Wolf 2004; the share was measured, QUALITY.md part A)."""

FILL_ROUNDS = 4
"""How often missing cells are filled with their reconstruction before a record is judged."""


class Residuals(NamedTuple):
    """What the autoencoder leaves over: per member and as the record's mean reconstruction."""

    residuals: Floats  # (M, N, F), 0 where missing
    reconstruction: Floats  # (N, F), mean over members


def residuals_of(
    autoencoder: Autoencoder,
    X: Floats,  # noqa: N803 -- (N, F)
    mask: Mask,
    *,
    rounds: int = FILL_ROUNDS,
) -> Residuals:
    """Record minus reconstruction, 0 where a cell is missing.

    A missing cell enters as 0, the mean, which may be far from what the other columns say; so
    it is filled with its own reconstruction and the record read again, `rounds` times.
    """
    reconstruction, _ = autoencoder(X)
    gaps = np.flatnonzero(~mask.all(axis=1))
    if gaps.size:
        here, filled = mask[gaps], X[gaps]
        part = reconstruction[:, gaps]
        for _ in range(rounds):
            filled = np.where(here, filled, part.mean(axis=0))
            part, _ = autoencoder(filled)
        reconstruction[:, gaps] = part
    return Residuals((X - reconstruction) * mask, reconstruction.mean(axis=0))


def fit_whitening(residuals: Floats, mask: Mask, weights: Floats, floors: Floats) -> Floats:
    """Whitening matrices W = S^(-1/2) (M, F, F) of normal residuals (M, N, F).

    S is the residuals' second moment about 0, correlations shrunk by `SHRINKAGE`. Of all W with
    W'W = S^-1 the symmetric root stays closest to the features (Kessy, Lewin & Strimmer 2018,
    ZCA), so the squares of W r are each feature's own part of the Mahalanobis distance r'S^-1 r.

    Args:
        residuals: (M, N, F), 0 where missing.
        mask: (N, F), which cells were observed.
        weights: (F,); features without weight get rows and columns of 0.
        floors: (F,), the least spread believed of a residual.
    """
    judged = np.flatnonzero(weights > 0)
    seen = mask[:, judged].astype(np.float64)
    pairs = np.maximum(seen.T @ seen, 1.0)
    whitening = np.zeros((len(residuals), len(weights), len(weights)), dtype=np.float32)
    for member, gaps in enumerate(residuals[:, :, judged].astype(np.float64)):
        moment = gaps.T @ gaps / pairs
        diagonal = np.maximum(np.diag(moment), floors[judged].astype(np.float64) ** 2)
        scale = np.sqrt(diagonal)
        correlation = (1 - SHRINKAGE) * moment / np.outer(scale, scale)
        np.fill_diagonal(correlation, 1.0)
        values, vectors = np.linalg.eigh(correlation * np.outer(scale, scale))
        # pairs of cells observed on different records can make S indefinite
        values = np.maximum(values, SHRINKAGE * diagonal.min())
        whitening[member][np.ix_(judged, judged)] = (vectors / np.sqrt(values)) @ vectors.T
    return whitening


def reconstruction_errors(
    residuals: Floats, mask: Mask, whitening: Floats, weights: Floats
) -> Floats:
    """Squared gaps on the scale of normal residuals (N, F), mean over members; 0 where missing."""
    whitened = residuals @ whitening  # (M, N, F) x (M, F, F) -> (M, N, F); W is symmetric
    whitened *= whitened
    errors: Floats = whitened.mean(axis=0)
    errors *= mask
    errors *= weights
    return errors


def scores(errors: Floats, mask: Mask, weights: Floats) -> npt.NDArray[np.float64]:
    """One number a record (N,): the mean error of its observed features, 1 for a usual record."""
    observed = mask @ weights.astype(np.float64)
    total = errors.sum(axis=1, dtype=np.float64)
    found = np.zeros(len(errors))
    np.divide(total, observed, out=found, where=observed > 0)
    return found
