"""The outline: a coarse linear estimate of a record, used to find the columns to blame."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask

EXPLAINED = 0.9
"""Least share of the variance that the components explain."""

FLOOR = 0.003
"""Least usual gap, as a share of a feature's range. Values between 0.0003 and 0.01 hardly changed
the causes found in SMD and ASD. If the scorer's own parts were used too, the causes found in AI4I
did not change at all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """The first principal components of normal records, with each feature divided by its range.

    A wrong value in a record also changes the autoencoder's reconstruction, both of the same column
    and of related columns. So the error is spread over several columns. A coarse estimate does not
    have this problem. The gaps to the outline name 75 % of the true causes of SMD, and the errors
    of the autoencoder name 56 %.

    Attributes:
        ranges: (F,) difference between the largest and the least normal value; infinite if the
            feature is not judged or does not vary.
        means: (F,) means of the features divided by their ranges.
        components: (F, K) orthonormal components.
        gaps: (F,) usual gap between a normal record and the outline.
    """

    ranges: Floats
    means: Floats
    components: Floats
    gaps: Floats

    def errors(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Return squared gaps (N, F) of features without missing cells, in usual gaps.

        The gap is 0 outside the mask.
        """
        errors: Floats = (_gaps(X, self.ranges, self.means, self.components) / self.gaps) ** 2
        return errors * mask


def fit_outline(X: Floats, weights: Floats) -> Outline:  # noqa: N803 -- (N, F)
    """Return the outline of normal records X (N, F) without missing cells.

    Features with a weight (F,) of 0 are not judged.
    """
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
