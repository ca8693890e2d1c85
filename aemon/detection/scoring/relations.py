"""Relations: the joint distribution of the features of normal records, with nearly exact balances.

A balance is an equation between columns, for example: the inflow is the sum of all outflows.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.scoring.neighbours import Prototypes
from aemon.detection.scoring.residuals import expected_residuals

Matrix = npt.NDArray[np.float64]

SHRINKAGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.5)
"""Shares of the correlations that may be removed. If columns obey a balance, faults lie along the
narrowest directions. A Mahalanobis distance finds .73 of the faults of Tennessee Eastman with a
share of 0.1, and .87 of the faults with a share of 1e-4."""

LEAST_SPREAD = 1e-3
"""Least spread of a column; a smaller spread is an effect of rounding."""

LEAST_DIRECTION = 1e-10
"""Least variance of a direction, as a share of the variance of the widest direction. A smaller
variance is an effect of rounding. This bound is used if there are fewer records than columns."""

FOLDS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Relations:
    """The distribution of normal records along wide and narrow directions.

    Whitened records have variance 1 in every direction.

    Attributes:
        means: (F,) mean of the distribution.
        slopes: (F, F) effect of the context on the features; it gives each entity its own mean.
        whitening: (F, F) converts features to the whitened scale.
        roots: (F,) square roots of the features' weights.
        points: P normal records on the whitened scale; empty if nearest records are not used.
    """

    means: Floats
    slopes: Floats
    whitening: Floats
    roots: Floats
    points: Prototypes

    def whitened(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Return records (N, F) on the whitened scale: squares add up to the Mahalanobis distance.

        Missing cells are filled with values predicted from the observed cells. So the Mahalanobis
        distance is the distance of the observed cells alone.
        """
        gaps = (X - self.means) * mask
        gaps -= (gaps @ self.slopes) * mask
        gaps = expected_residuals(gaps[None], mask, self.whitening)[0]
        whitened: Floats = (gaps @ self.whitening) * self.roots
        return whitened

    def nearest(
        self, whitened: Floats, without: Rows | None = None, *, vouchers: int = 1
    ) -> tuple[Floats, Rows]:
        """Return squared distances (N,) to the nearest normal records, and their rows (N,).

        Args:
            whitened: (N, F), records on the whitened scale.
            without: (N,) row of a normal record that must not be found for the record; -1 for none.
            vouchers: number of normal records that must be near.
        """
        distances, rows = self.points.nearest(whitened, k=vouchers, without=without)
        return distances[:, -1], rows[:, -1]

    def gaps_to(self, whitened: Floats, rows: Rows) -> Floats:
        """Return squared gaps (N, F) to the normal records at `rows`, on the whitened scale."""
        gaps: Floats = (whitened - self.points.points[rows]) ** 2
        return gaps * (self.roots > 0)


def fit_relations(
    X: Floats,  # noqa: N803 -- (N, F), without holes
    weights: Floats,
    shrinkage: float,
    points: Floats | None = None,
) -> Relations:
    """Return the relations of normal records.

    Args:
        X: (N, F) the normal records.
        weights: (F,) weights of the features; features with weight 0 are context.
        shrinkage: share of the correlations that is removed.
        points: (P, F) normal records for `Relations.nearest`.
    """
    judged = np.flatnonzero(weights > 0)
    means = X.mean(axis=0, dtype=np.float64)
    centred, slopes = without_context((X - means), weights)
    cloud = _cloud(centred[:, judged])
    along, across = _shrunk(cloud.values, shrinkage) ** -0.5, shrinkage**-0.5
    # of all possible roots, this root stays closest to the features
    # (Kessy, Lewin & Strimmer 2018, ZCA-cor)
    root = (cloud.vectors * (along - across)) @ cloud.vectors.T
    root[np.diag_indices(len(judged))] += across
    whitening = np.zeros((len(weights), len(weights)), dtype=np.float32)
    whitening[np.ix_(judged, judged)] = root / cloud.scale[:, None]
    roots = np.sqrt(np.maximum(weights, 0)).astype(np.float32)
    no_points = Prototypes(points=np.zeros((0, len(weights)), dtype=np.float32))
    found = Relations(
        means=means.astype(np.float32),
        slopes=slopes.astype(np.float32),
        whitening=whitening,
        roots=roots,
        points=no_points,
    )
    if points is None:
        return found
    seen = np.ones(points.shape, dtype=bool)
    return replace(found, points=Prototypes(points=found.whitened(points, seen)))


def choose_shrinkage(X: Floats, weights: Floats) -> float:  # noqa: N803 -- (N, F), without holes
    """Return the share of the correlations to remove with which held-out records are most likely.

    The records are divided by time into contiguous folds. The likelihood of a fold is computed with
    a normal distribution that has the moments of the other folds. No labels are used.
    """
    centred, _ = without_context(X - X.mean(axis=0, dtype=np.float64), weights)
    judged = centred[:, weights > 0]
    folds = np.arange(len(judged)) * FOLDS // max(len(judged), 1)
    total = np.zeros(len(SHRINKAGES))
    for fold in range(FOLDS):
        others, here = judged[folds != fold], judged[folds == fold]
        if not len(others) or not len(here):
            continue
        cloud = _cloud(others)
        scaled = (here - others.mean(axis=0)) / cloud.scale
        along = ((scaled @ cloud.vectors) ** 2).sum(axis=0)  # (K,)
        across = max(float((scaled**2).sum() - along.sum()), 0.0)
        beside = judged.shape[1] - len(along)
        for place, shrinkage in enumerate(SHRINKAGES):
            shrunk = _shrunk(cloud.values, shrinkage)
            total[place] -= (along / shrunk).sum() + len(here) * np.log(shrunk).sum()
            if beside:
                total[place] -= across / shrinkage + len(here) * beside * np.log(shrinkage)
    return SHRINKAGES[int(total.argmax())]


def without_context(centred: Matrix, weights: Floats) -> tuple[Matrix, Matrix]:
    """Return centred records (N, F) without the effect of the context, and the slopes (F, F).

    The context has one feature for each entity, so the mean of each entity is removed.
    """
    slopes = np.zeros((len(weights), len(weights)))
    context, judged = np.flatnonzero(weights <= 0), np.flatnonzero(weights > 0)
    varies = context[np.ptp(centred[:, context], axis=0) > 0] if len(centred) else context[:0]
    if not varies.size:
        return centred, slopes
    effects, *_ = np.linalg.lstsq(centred[:, varies], centred[:, judged])
    slopes[np.ix_(varies, judged)] = effects
    return centred - centred @ slopes, slopes


class _Cloud(NamedTuple):
    """The directions in which records vary, with each column divided by its spread."""

    scale: Matrix  # (F,), spreads
    values: Matrix  # (K,), variances along the directions; 0 along all other directions
    vectors: Matrix  # (F, K), orthonormal


def _cloud(X: Matrix) -> _Cloud:  # noqa: N803 -- (N, F)
    centred = X - X.mean(axis=0)
    spreads = np.sqrt((centred**2).mean(axis=0)) if len(X) else np.zeros(X.shape[1])
    scale = np.maximum(spreads, LEAST_SPREAD)
    scaled = centred / scale
    if len(X) > X.shape[1]:
        correlation = scaled.T @ scaled / len(X)
        np.fill_diagonal(correlation, 1.0)
        return _Cloud(scale, *np.linalg.eigh(correlation))
    # fewer records than columns: directions come from the records and from constant columns
    squares, places = np.linalg.eigh(scaled @ scaled.T)
    real = squares > LEAST_DIRECTION * squares.max(initial=0.0)
    vectors = scaled.T @ (places[:, real] / np.sqrt(squares[real]))
    still = np.eye(len(scale))[:, spreads < LEAST_SPREAD]
    values = np.concatenate([squares[real] / max(len(X), 1), np.ones(still.shape[1])])
    return _Cloud(scale, values, np.concatenate([vectors, still], axis=1))


def _shrunk(values: Matrix, shrinkage: float) -> Matrix:
    """Return variances (K,) along the directions, after a share of the correlations is removed."""
    shrunk: Matrix = (1 - shrinkage) * np.maximum(values, 0.0) + shrinkage
    return shrunk
