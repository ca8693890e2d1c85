"""Computation of reconstruction errors from features, in NumPy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.autoencoders.autoencoder import Autoencoder

LEAST_SHRINKAGE = 0.1
"""Least share of the residuals' correlations that is removed. A covariance that is measured on few
records exaggerates correlations (Ledoit & Wolf 2004). The measurements are in docs/decisions.md,
"The joint space"."""

FILL_ROUNDS = 16
"""Number of times that missing cells are filled with their reconstruction before judging."""

MOST_PRECISE = 256
"""Largest number of features whose moments are computed in double precision. With more features,
single precision is used, which takes half of the time. The shrinkage bounds the loss of precision:
variances differ at most by a factor of 10 * F."""


class Residuals(NamedTuple):
    """Residuals of N records in each of D reconstructions, and the mean reconstruction."""

    residuals: Floats  # (D, N, F), 0 where missing
    reconstruction: Floats  # (N, F), mean over reconstructions


def residuals_of(
    autoencoder: Autoencoder,
    X: Floats,  # noqa: N803 -- (N, F)
    mask: Mask,
    *,
    rounds: int = FILL_ROUNDS,
) -> Residuals:
    """Return record minus reconstruction, and 0 where a cell is missing.

    A missing cell starts as 0, the mean of its feature. The other columns may suggest a very
    different value. So the cell is filled with its reconstruction, and the record is reconstructed
    again, `rounds` times.
    """
    reconstruction = autoencoder(X)
    gaps = np.flatnonzero(~mask.all(axis=1))
    if gaps.size:
        here, filled = mask[gaps], X[gaps]
        part = reconstruction[:, gaps]
        for _ in range(rounds):
            filled = np.where(here, filled, part.mean(axis=0))
            part = autoencoder(filled)
        reconstruction[:, gaps] = part
    mean = reconstruction.mean(axis=0)
    residuals = np.subtract(X, reconstruction, out=reconstruction)
    residuals *= mask
    return Residuals(residuals, mean)


class Moments(NamedTuple):
    """Second moments, about 0, of the residuals of J judged features."""

    judged: Rows  # (J,)
    scale: npt.NDArray[np.floating]  # (J,), never below the floors
    correlation: npt.NDArray[np.floating]  # (J, J)
    shrinkage: float  # share of the correlations to remove


def residual_moments(residuals: Floats, mask: Mask, weights: Floats, floors: Floats) -> Moments:
    """Return the moments of held-out normal residuals (D, N, F).

    The arguments are described in `fit_whitening`.
    """
    judged = np.flatnonzero(weights > 0)
    seen = mask[:, judged]
    pairs: float | npt.NDArray[np.float32] = float(max(len(seen), 1))
    if not seen.all():
        ones = seen.astype(np.float32)  # exact: whole numbers below 2^24
        pairs = np.maximum(ones.T @ ones, 1.0)
    precise = np.float64 if len(judged) <= MOST_PRECISE else np.float32
    gaps = residuals[:, :, judged].astype(precise)
    moment = sum(part.T @ part for part in gaps) / (len(gaps) * pairs)
    scale = np.sqrt(np.maximum(np.diag(moment), floors[judged].astype(precise) ** 2))
    correlation = moment / np.outer(scale, scale)
    shrinkage = shrinkage_of(gaps.mean(axis=0) / scale, correlation)
    return Moments(judged, scale, correlation, shrinkage)


def fit_whitening(
    residuals: Floats,
    mask: Mask,
    weights: Floats,
    floors: Floats,
    *,
    diagonal: bool = False,
    least_shrinkage: float = LEAST_SHRINKAGE,
) -> Floats:
    """Return the whitening matrix W = S^(-1/2) (F, F) of held-out normal residuals (D, N, F).

    S is the second moment of the residuals about 0, with correlations reduced by `shrinkage_of`. Of
    all matrices W with W'W = S^-1, the symmetric root stays closest to the features (Kessy, Lewin &
    Strimmer 2018, ZCA). So each square in W r is one feature's part of the Mahalanobis distance
    r'S^-1 r.

    Args:
        residuals: (D, N, F), 0 where missing.
        mask: (N, F), True for observed cells.
        weights: (F,) weights of the features; features with weight 0 get rows and columns of 0.
        floors: (F,) least spread of a residual.
        diagonal: whether correlations are ignored.
        least_shrinkage: least share of the correlations that is removed.
    """
    judged, scale, correlation, shrinkage = residual_moments(residuals, mask, weights, floors)
    whitening = np.zeros((len(weights), len(weights)), dtype=np.float32)
    if diagonal:
        whitening[judged, judged] = 1 / scale
        return whitening
    correlation *= 1 - max(shrinkage, least_shrinkage)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation * np.outer(scale, scale))
    # S can be indefinite if two features were observed on different records
    values = np.maximum(values, LEAST_SHRINKAGE * (scale**2).min())
    whitening[np.ix_(judged, judged)] = (vectors / np.sqrt(values)) @ vectors.T
    return whitening


def shrinkage_of(scaled: npt.NDArray[np.floating], correlation: npt.NDArray[np.floating]) -> float:
    """Return the share of the measured correlations (F, F) of scaled residuals (N, F) to remove.

    The share is the variance of the estimate divided by its squared distance from the target
    (Ledoit & Wolf 2004, lemma 3.1), and at least `LEAST_SHRINKAGE`. The share is largest for few
    records with many features.
    """
    # the sum over all entries of the product of squares is the sum of squared row sums
    of_records = ((scaled**2).sum(axis=1, dtype=np.float64) ** 2).sum() / max(len(scaled), 1)
    variance = of_records - np.square(correlation).sum()
    off = np.square(correlation).sum() - np.square(np.diag(correlation)).sum()
    distance = (off + np.square(np.diag(correlation) - 1).sum()) * max(len(scaled), 1)
    share = variance / distance if distance > 0 else 1.0
    return float(np.clip(share, LEAST_SHRINKAGE, 1.0))


def reconstruction_errors(
    residuals: Floats, mask: Mask, whitening: Floats, weights: Floats
) -> Floats:
    """Return squared gaps (N, F) on the scale of normal residuals: the mean over reconstructions.

    The gaps of a record add up to the Mahalanobis distance of its residual. The gap of a missing
    cell is 0. Differences between the reconstructions of the members also make the gaps larger.
    """
    errors = np.zeros(residuals.shape[1:], dtype=np.float32)
    for part in expected_residuals(residuals, mask, whitening):
        whitened = part @ whitening  # (N, F) x (F, F); W is symmetric
        whitened *= whitened
        errors += whitened
    errors /= len(residuals)
    errors *= mask
    errors *= weights
    return errors


def expected_residuals(residuals: Floats, mask: Mask, whitening: Floats) -> Floats:
    """Return residuals (D, N, F) in which missing cells are predicted from the observed cells.

    With P = WW', the conditional mean of the missing cells is -P_mm^-1 P_mo r_o. So r'P r is the
    Mahalanobis distance of the observed cells alone (Bishop 2006, equations 2.75 and 2.98).
    """
    gaps = np.flatnonzero(~mask.all(axis=1))
    if not gaps.size:
        return residuals
    precision = whitening.astype(np.float64) @ whitening.T
    judged = np.flatnonzero(np.diag(precision) > 0)
    residuals = residuals.copy()
    patterns, which = np.unique(mask[np.ix_(gaps, judged)], axis=0, return_inverse=True)
    for place, seen in enumerate(patterns):
        rows, present, missing = gaps[which.ravel() == place], judged[seen], judged[~seen]
        if present.size and missing.size:
            back = np.linalg.solve(
                precision[np.ix_(missing, missing)], -precision[np.ix_(missing, present)]
            )
            residuals[:, rows[:, None], missing] = residuals[
                :, rows[:, None], present
            ] @ back.T.astype(np.float32)
    return residuals
