"""Two uses of a detector's codes in addition to scores: a map of records, and lossy compression."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.features.feature_map import FeatureMap

FLOAT_BYTES = 4
"""Number of bytes of one number in a code, and of one feature: both are float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """Size and error if the codes of one member are stored in place of the records.

    Attributes:
        record_bytes: number of bytes of the judged features of N records, in float32.
        code_bytes: number of bytes of the codes of the N records, in float32.
        error: weighted mean squared reconstruction error of observed cells, in squared spreads.
        by_column: (column, error) for each judged column, the largest error first. The error is
            measured like `error`, with the cells of this column only.
    """

    record_bytes: int
    code_bytes: int
    error: float
    by_column: tuple[tuple[str, float], ...]

    @property
    def ratio(self) -> float:
        """Ratio of the bytes of the codes to the bytes of the records."""
        return self.code_bytes / max(self.record_bytes, 1)


def code_map(autoencoder: Autoencoder, normal: Floats, X: Floats) -> Floats:  # noqa: N803
    """Return coordinates (N, 2) for a picture: the first two principal components of codes.

    Only the codes of the first member are used, because members start from different weights, and
    a mean over their codes would have no meaning. The axes come from the normal records, so the
    coordinates of a record do not depend on the other records in the picture. The sign of an axis
    is chosen so that its largest loading is positive. With a code size of 1, the second coordinate
    is 0.

    Args:
        autoencoder: an autoencoder with M members.
        normal: (P, F) features of the normal records that determine the axes.
        X: (N, F) features of the records in the picture, without missing features.
    """
    first = autoencoder.member(0)
    known = first.encode(normal)[0].astype(np.float64)  # (P, C)
    middle = known.mean(axis=0)
    axes = np.zeros((2, first.code_size))
    if known.size:
        _, _, found = np.linalg.svd(known - middle, full_matrices=False)
        signs = np.sign(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])
        axes[: min(2, len(found))] = (found * signs[:, None])[:2]
    placed: Floats = ((first.encode(X)[0] - middle) @ axes.T).astype(np.float32)
    return placed


def compression(
    feature_map: FeatureMap,
    autoencoder: Autoencoder,
    X: Floats,  # noqa: N803 -- (N, F), without gaps
    mask: Mask,
) -> Compression:
    """Measure the size of records as codes, and the error of their reconstruction.

    Args:
        feature_map: the detector's feature map.
        autoencoder: the detector's autoencoder, of which only the first member is used.
        X: (N, F) features of the records, without missing features.
        mask: (N, F) True where a feature was observed; only observed features count in errors.
    """
    first = autoencoder.member(0)
    back = first.decode(first.encode(X))[0]
    weights = feature_map.weights * mask  # (N, F)
    squares = (X - back) ** 2 * weights
    by_column = {
        name: _share(squares[:, place], weights[:, place]) for name, place in feature_map.judged
    }
    judged = int((feature_map.weights > 0).sum())
    return Compression(
        record_bytes=FLOAT_BYTES * len(X) * judged,
        code_bytes=FLOAT_BYTES * len(X) * first.code_size,
        error=_share(squares, weights),
        by_column=tuple(sorted(by_column.items(), key=lambda pair: -pair[1])),
    )


def _share(squares: Floats, weights: Floats) -> float:
    total = float(weights.sum(dtype=np.float64))
    return float(squares.sum(dtype=np.float64)) / total if total else 0.0
