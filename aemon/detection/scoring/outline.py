"""The outline: a coarse linear expectation of a record, for finding the columns to blame."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask

EXPLAINED = 0.9
"""Share of the variance that the components explain at least."""

FLOOR = 0.003
"""Least usual gap, as a share of a feature's range. Between 0.0003 and 0.01 it mattered little for
the causes of SMD and ASD, and not at all for those of AI4I beside the scorer's own parts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """The first principal components of normal records, each feature on the scale of its range.

    An autoencoder that is good enough to notice a fault also follows a wrong value some way, and
    spreads its error over the columns around it. A coarse expectation does not: the gaps to it
    name 75 % of the true causes of SMD, the autoencoder's own errors 56 %.

    Attributes:
        ranges: (F,) distance between the least and the largest normal value; infinite if the
            feature is not judged or does not vary.
        means: (F,) means of the features divided by their ranges.
        components: (F, K), orthonormal.
        gaps: (F,) usual gap of a normal record.
    """

    ranges: Floats
    means: Floats
    components: Floats
    gaps: Floats

    def errors(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Return squared gaps in usual gaps (N, F) of filled features; 0 outside the mask."""
        errors: Floats = (_gaps(X, self.ranges, self.means, self.components) / self.gaps) ** 2
        return errors * mask


def fit_outline(X: Floats, weights: Floats) -> Outline:  # noqa: N803 -- (N, F)
    """Fit the outline of normal records X (N, F) without gaps; weights (F,) of 0 are not judged."""
    spans = np.ptp(X, axis=0)
    ranges: Floats = np.where((spans > 0) & (weights > 0), spans, np.inf).astype(np.float32)
    scaled: Floats = X / ranges
    means = scaled.mean(axis=0)
    centred = (scaled - means).astype(np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = values[::-1], vectors[:, ::-1]
    explained = np.cumsum(values) / max(float(values.sum()), 1e-30)
    most = int(np.isfinite(ranges).sum()) // 2
    count = min(int(np.searchsorted(explained, EXPLAINED)) + 1, most)
    components = vectors[:, :count].astype(np.float32)
    residuals = _gaps(X, ranges, means, components)
    spreads = np.sqrt((residuals**2).mean(axis=0)) + FLOOR
    usual = np.where(np.isfinite(ranges), spreads, np.inf).astype(np.float32)
    return Outline(ranges=ranges, means=means, components=components, gaps=usual)


def _gaps(X: Floats, ranges: Floats, means: Floats, components: Floats) -> Floats:  # noqa: N803
    centred = X / ranges - means
    return (centred - (centred @ components) @ components.T).astype(np.float32)
