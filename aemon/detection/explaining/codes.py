"""What a detector's codes are good for beside scores: a map of records, and lossy compression."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.features.feature_map import FeatureMap

FLOAT_BYTES = 4
"""A number of a code, or a feature, takes so many bytes: float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """What keeping the codes of one member instead of the records saves, and costs.

    Attributes:
        record_bytes: of N records as their judged features, float32.
        code_bytes: of their codes, float32.
        error: weighted mean squared reconstruction error of observed cells, in squared spreads.
        by_column: the same of each judged column, the worst first.
    """

    record_bytes: int
    code_bytes: int
    error: float
    by_column: tuple[tuple[str, float], ...]

    @property
    def ratio(self) -> float:
        """Bytes of codes over bytes of records."""
        return self.code_bytes / max(self.record_bytes, 1)


def code_map(autoencoder: Autoencoder, normal: Floats, X: Floats) -> Floats:  # noqa: N803
    """Coordinates (N, 2) for a picture: the first two principal components of codes.

    Of the first member's codes: members start from different weights, so the places of one
    member's code mean nothing to another and a mean over members would mean nothing at all. The
    axes are those of normal records, so that a record stays where it is whatever it is drawn
    beside; of an axis and its opposite that is taken whose largest loading is positive. Where
    the code is narrower than two, the missing coordinates are 0.

    Args:
        autoencoder: M members.
        normal: (P, F) features of the normal records that the axes are found from.
        X: (N, F) features without gaps of the records to place.
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
    """How small records become as codes, and how well they come back.

    Args:
        feature_map: names the columns.
        autoencoder: its first member alone is used.
        X: (N, F) features without gaps.
        mask: (N, F), which cells were observed: errors are theirs.
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
