"""From features to reconstruction errors, in NumPy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.autoencoders.autoencoder import Autoencoder

LEAST_SHRINKAGE = 0.1
"""Share of the residuals' correlations taken away at least: the measured covariance of few
records exaggerates them (Ledoit & Wolf 2004; the share was measured, docs/decisions.md, "The joint space")."""

FILL_ROUNDS = 16
"""How often missing cells are filled with their reconstruction before a record is judged."""


MOST_PRECISE = 256
"""Up to so many features moments are worked out in double precision. Beyond, single precision takes
half the time, and the shrinkage bounds what it costs: variances differ by 10 * F at most."""


class Residuals(NamedTuple):
    """What the autoencoder leaves over: D reconstructions of N records, and their mean."""

    residuals: Floats  # (D, N, F), 0 where missing
    reconstruction: Floats  # (N, F), mean over reconstructions


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
    """Second moments about 0 of the residuals of J judged features."""

    judged: Rows  # (J,)
    scale: npt.NDArray[np.floating]  # (J,), never below the floors
    correlation: npt.NDArray[np.floating]  # (J, J)
    shrinkage: float  # how far the correlations are to be drawn to 0


def residual_moments(residuals: Floats, mask: Mask, weights: Floats, floors: Floats) -> Moments:
    """The moments of held-out normal residuals (D, N, F); the arguments are `fit_whitening`'s."""
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
    """The whitening matrix W = S^(-1/2) (F, F) of held-out normal residuals (D, N, F).

    S is the residuals' second moment about 0, correlations shrunk by `shrinkage_of`. Of all W
    with W'W = S^-1 the symmetric root stays closest to the features (Kessy, Lewin & Strimmer
    2018, ZCA), so the squares of W r are each feature's own part of the Mahalanobis distance
    r'S^-1 r.

    Args:
        residuals: (D, N, F), 0 where missing.
        mask: (N, F), which cells were observed.
        weights: (F,); features without weight get rows and columns of 0.
        floors: (F,), the least spread believed of a residual.
        diagonal: leave the correlations out altogether.
        least_shrinkage: share of the correlations that is taken off at least.
    """
    judged, scale, correlation, shrinkage = residual_moments(residuals, mask, weights, floors)
    whitening = np.zeros((len(weights), len(weights)), dtype=np.float32)
    if diagonal:
        whitening[judged, judged] = 1 / scale
        return whitening
    correlation *= 1 - max(shrinkage, least_shrinkage)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation * np.outer(scale, scale))
    # pairs of cells observed on different records can make S indefinite
    values = np.maximum(values, LEAST_SHRINKAGE * (scale**2).min())
    whitening[np.ix_(judged, judged)] = (vectors / np.sqrt(values)) @ vectors.T
    return whitening


def shrinkage_of(scaled: npt.NDArray[np.floating], correlation: npt.NDArray[np.floating]) -> float:
    """How far measured correlations (F, F) are to be drawn to 0, from scaled residuals (N, F).

    Ledoit & Wolf 2004, lemma 3.1: the estimate's own variance over its distance from the
    target; never less than `LEAST_SHRINKAGE`. Few records of many features shrink most.
    """
    # all entries of the squares' product add up to the squared sums of its rows
    of_records = ((scaled**2).sum(axis=1, dtype=np.float64) ** 2).sum() / max(len(scaled), 1)
    variance = of_records - np.square(correlation).sum()
    off = np.square(correlation).sum() - np.square(np.diag(correlation)).sum()
    distance = (off + np.square(np.diag(correlation) - 1).sum()) * max(len(scaled), 1)
    share = variance / distance if distance > 0 else 1.0
    return float(np.clip(share, LEAST_SHRINKAGE, 1.0))


def reconstruction_errors(
    residuals: Floats, mask: Mask, whitening: Floats, weights: Floats
) -> Floats:
    """Squared gaps on the scale of normal residuals (N, F), mean over the reconstructions.

    They add up to the Mahalanobis distance of the residual; 0 where missing. Members that
    disagree about a record raise its errors too.
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
    """Residuals (D, N, F), those of missing cells as the observed ones lead to expect.

    With P = WW' their conditional mean is -P_mm^-1 P_mo r_o, which makes r'P r the Mahalanobis
    distance of the observed cells alone (Bishop 2006, equations 2.75 and 2.98).
    """
    gaps = np.flatnonzero(~mask.all(axis=1))
    if not gaps.size:
        return residuals
    precision = whitening.astype(np.float64) @ whitening.T
    judged = np.flatnonzero(np.diag(precision) > 0)
    residuals = residuals.copy()
    patterns, which = np.unique(mask[np.ix_(gaps, judged)], axis=0, return_inverse=True)
    for place, seen in enumerate(patterns):
        rows, there, gone = gaps[which.ravel() == place], judged[seen], judged[~seen]
        if there.size and gone.size:
            back = np.linalg.solve(precision[np.ix_(gone, gone)], -precision[np.ix_(gone, there)])
            residuals[:, rows[:, None], gone] = residuals[:, rows[:, None], there] @ back.T.astype(
                np.float32
            )
    return residuals
