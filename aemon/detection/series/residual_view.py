"""The residual view: compares windows with their reconstruction, in units of usual residuals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Floats, Mask, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.scoring.combining import View
from aemon.detection.series.windows import Windows

TINY = 1e-9  # keeps a logarithm finite


class Reconstructed(NamedTuple):
    """Results of a residual view for N windows."""

    surprises: Values  # (N,) in nats
    gaps: Floats  # (N, F), squared gaps of a record and its earlier records, in usual gaps
    residuals: Floats  # (N, F), residuals of the record itself


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualView:
    """View that measures how badly an autoencoder reconstructs windows.

    The gaps of the judged record count as much as the gaps of its whole window.

    Attributes:
        autoencoder: linear autoencoder of windows of W records, with the J features whose weight is
            above 0.
        weights: (F,) weights of the features; features with weight 0 are ignored.
        spreads: (W, F) usual gaps, at least as large as a floor.
        view: view that measures the logarithm of the mean squared gap.
    """

    autoencoder: Autoencoder
    weights: Floats
    spreads: Floats
    view: View

    def look(self, windows: Windows, mask: Mask) -> Reconstructed:
        """Compare N windows with their reconstruction.

        Args:
            windows: windows of the records.
            mask: (N, F), True for observed cells of each record.
        """
        residuals = window_residuals(self.autoencoder, windows.cells, self.weights)
        squares = (residuals**2).mean(axis=0)
        gaps, logs = measured(squares, windows.present, mask, self.spreads, self.weights)
        return Reconstructed(self.view.surprise(logs), gaps, residuals[:, :, 0].mean(axis=0))


def measured(
    squares: Floats, present: Mask, mask: Mask, spreads: Floats, weights: Floats
) -> tuple[Floats, Values]:
    """Return gaps (N, F) in usual gaps, and the logarithm (N,) of their mean.

    Args:
        squares: (N, W, F), squared residuals.
        present: (N, W), True for records that exist.
        mask: (N, F), True for observed cells.
        spreads: (W, F), usual gaps.
        weights: (F,), weights of the features.
    """
    seen = present.astype(np.float32)
    seen /= present.shape[1]
    seen[:, 0] += 1.0
    parts = squares / spreads**2 * seen[:, :, None]
    parts[:, 0] *= mask
    gaps: Floats = (parts.sum(axis=1) * weights).astype(np.float32)
    observed = seen[:, 0] * (mask @ weights) + seen[:, 1:].sum(axis=1) * weights.sum()
    logs = np.log(np.maximum(gaps.sum(axis=1) / np.maximum(observed, TINY), TINY))
    return gaps, logs.astype(np.float64)


def window_residuals(autoencoder: Autoencoder, cells: Floats, weights: Floats) -> Floats:
    """Return the residuals (M, N, W, F) of windows for each of M members.

    The residuals of features with weight 0 are 0.

    Args:
        autoencoder: autoencoder of windows of the features with a weight above 0.
        cells: (N, W, F), cells of the windows.
        weights: (F,), weights of the features.
    """
    judged = np.flatnonzero(weights > 0)
    flat = cells[:, :, judged].reshape(len(cells), -1)
    residuals = flat - autoencoder(flat)
    if len(judged) == len(weights):
        return residuals.reshape(-1, *cells.shape)
    found = np.zeros((len(residuals), *cells.shape), dtype=np.float32)
    found[..., judged] = residuals.reshape(-1, *cells.shape[:2], len(judged))
    return found
