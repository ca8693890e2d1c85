"""Uses of a detector's codes apart from scores: a map of records, and lossy compression."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.features.feature_map import FeatureMap

FLOAT_BYTES = 4
"""Bytes of one number of a code or of one feature: float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """Savings and error of storing one member's codes in place of the records.

    Attributes:
        record_bytes: bytes of N records as their judged features, float32.
        code_bytes: bytes of their codes, float32.
        error: weighted mean squared reconstruction error of observed cells, in squared spreads.
        by_column: the same error for each judged column, the largest first.
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
    """Return coordinates (N, 2) for a picture: the first two principal components of codes.

    Only the codes of the first member are used. Members start from different weights, so a mean
    over their codes would have no meaning. The axes come from normal records, so a record has the
    same place beside any other records. The sign of an axis makes its largest loading positive. If
    the code is narrower than two, the missing coordinates are 0.

    Args:
        autoencoder: M members.
        normal: (P, F) features of the normal records that determine the axes.
        X: (N, F) features, without missing ones, of the records to place.
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
        feature_map: names the columns.
        autoencoder: only its first member is used.
        X: (N, F) features without missing ones.
        mask: (N, F) True where a cell was observed; only these cells count in errors.
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
