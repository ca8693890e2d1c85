"""How the features of normal records go together, near-exact relations and all."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.scoring.neighbours import Prototypes
from aemon.detection.scoring.residuals import expected_residuals

Matrix = npt.NDArray[np.float64]

SHRINKAGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.5)
"""Shares of the correlations that may be taken away. Where columns obey a balance, faults lie
along the narrowest directions: with 0.1 taken away, a Mahalanobis distance finds .73 of the faults
of Tennessee Eastman, with 1e-4 .87."""

LEAST_SPREAD = 1e-3
"""In spreads: what is believed to vary less is rounding."""

LEAST_DIRECTION = 1e-10
"""Of the widest direction's variance: what varies less, of fewer records than columns, is rounding."""

FOLDS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Relations:
    """Normal records as one cloud, seen along its narrow directions as along its wide ones.

    Attributes:
        means: (F,) its middle.
        slopes: (F, F) what the context tells of the features: an entity has a middle of its own.
        whitening: (F, F) from features to the scale on which the cloud is round.
        roots: (F,) of the features' weights.
        points: P normal records on that scale; none where nobody asks who is nearest.
    """

    means: Floats
    slopes: Floats
    whitening: Floats
    roots: Floats
    points: Prototypes

    def whitened(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Records on the scale of the cloud (N, F): squares add up to the Mahalanobis distance.

        Missing cells are as the observed ones lead to expect, which makes the distance that of the
        observed ones alone.
        """
        gaps = (X - self.means) * mask
        gaps -= (gaps @ self.slopes) * mask
        gaps = expected_residuals(gaps[None], mask, self.whitening)[0]
        whitened: Floats = (gaps @ self.whitening) * self.roots
        return whitened

    def nearest(
        self, whitened: Floats, without: Rows | None = None, *, vouchers: int = 1
    ) -> tuple[Floats, Rows]:
        """Squared distances (N,) to the nearest normal record on that scale, and which it is.

        Args:
            whitened: (N, F).
            without: (N,) the one a record must not be held against, or -1.
            vouchers: how many must be near.
        """
        distances, rows = self.points.nearest(whitened, k=vouchers, without=without)
        return distances[:, -1], rows[:, -1]

    def gaps_to(self, whitened: Floats, rows: Rows) -> Floats:
        """Squared gaps (N, F) on that scale to the normal records at these rows."""
        gaps: Floats = (whitened - self.points.points[rows]) ** 2
        return gaps * (self.roots > 0)


def fit_relations(
    X: Floats,  # noqa: N803 -- (N, F), without holes
    weights: Floats,
    shrinkage: float,
    points: Floats | None = None,
) -> Relations:
    """The relations of normal records.

    Args:
        X: (N, F) the records.
        weights: (F,); features without weight are context.
        shrinkage: share of the correlations that is taken away.
        points: (P, F) records to be near to.
    """
    judged = np.flatnonzero(weights > 0)
    means = X.mean(axis=0, dtype=np.float64)
    centred, slopes = without_context((X - means), weights)
    cloud = _cloud(centred[:, judged])
    along, across = _shrunk(cloud.values, shrinkage) ** -0.5, shrinkage**-0.5
    # of all roots the one that stays closest to the features (Kessy, Lewin & Strimmer 2018, ZCA-cor)
    root = (cloud.vectors * (along - across)) @ cloud.vectors.T
    root[np.diag_indices(len(judged))] += across
    whitening = np.zeros((len(weights), len(weights)), dtype=np.float32)
    whitening[np.ix_(judged, judged)] = root / cloud.scale[:, None]
    roots = np.sqrt(np.maximum(weights, 0)).astype(np.float32)
    nobody = Prototypes(points=np.zeros((0, len(weights)), dtype=np.float32))
    found = Relations(
        means=means.astype(np.float32),
        slopes=slopes.astype(np.float32),
        whitening=whitening,
        roots=roots,
        points=nobody,
    )
    if points is None:
        return found
    seen = np.ones(points.shape, dtype=bool)
    return replace(found, points=Prototypes(points=found.whitened(points, seen)))


def choose_shrinkage(X: Floats, weights: Floats) -> float:  # noqa: N803 -- (N, F), without holes
    """The share of the correlations to take away, by the likelihood of records held out.

    The records are cut, in the order of time, into contiguous folds; each is taken as drawn from
    a normal distribution with the moments of the others. No label is used.
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
    """Take from centred records (N, F) what their context tells of them, and say how much (F, F).

    The context is one feature for each entity, so what is taken away is each entity's mean.
    """
    slopes = np.zeros((len(weights), len(weights)))
    context, judged = np.flatnonzero(weights <= 0), np.flatnonzero(weights > 0)
    varies = context[np.ptp(centred[:, context], axis=0) > 0] if len(centred) else context[:0]
    if not varies.size:
        return centred, slopes
    told, *_ = np.linalg.lstsq(centred[:, varies], centred[:, judged])
    slopes[np.ix_(varies, judged)] = told
    return centred - centred @ slopes, slopes


class _Cloud(NamedTuple):
    """The directions in which records vary, each column on the scale of its spread."""

    scale: Matrix  # (F,), spreads
    values: Matrix  # (K,), variances along the directions; 0 along all others
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
    # fewer records than columns: only they are directions, and columns that stand still
    squares, places = np.linalg.eigh(scaled @ scaled.T)
    real = squares > LEAST_DIRECTION * squares.max(initial=0.0)
    vectors = scaled.T @ (places[:, real] / np.sqrt(squares[real]))
    still = np.eye(len(scale))[:, spreads < LEAST_SPREAD]
    values = np.concatenate([squares[real] / max(len(X), 1), np.ones(still.shape[1])])
    return _Cloud(scale, values, np.concatenate([vectors, still], axis=1))


def _shrunk(values: Matrix, shrinkage: float) -> Matrix:
    """Variances (K,) along directions, of which a share of the correlations is taken away."""
    shrunk: Matrix = (1 - shrinkage) * np.maximum(values, 0.0) + shrinkage
    return shrunk
