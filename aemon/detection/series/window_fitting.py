"""Fitting of a view of windows: principal components, usual residuals, held-out surprises."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.closed_form import as_layer, stack
from aemon.detection.autoencoders.sizing import CODE_SHARE
from aemon.detection.autoencoders.training_set import TrainingSet, contiguous_folds
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.combining import fit_view
from aemon.detection.series.residual_view import ResidualView, measured, window_residuals
from aemon.detection.series.windows import Windows

EXPLAINED = 0.9
"""Share of the variance of windows that the code must explain. (On plants and servers, results with
0.8 to 0.95 differ by less than results on different data sets.)"""

PARTS = 5
"""Number of parts into which the fold of a single member is divided. Each part is compared with the
spreads of the other parts."""


class FittedWindows(NamedTuple):
    """A fitted view of windows, with its surprises of held-out normal records."""

    view: ResidualView
    surprises: Values  # (n,)


def fit_windows(
    training_set: TrainingSet, windows: Windows, weights: Floats, floors: Floats
) -> FittedWindows | None:
    """Fit a view of windows to normal records; None if too few records follow each other.

    The member that did not see a record in training reconstructs the record's window.

    Args:
        training_set: N records.
        windows: windows of these records.
        weights: (F,) weights of the numbers in windows. Windows may contain the features and also
            each feature's distance from its level. Then F is twice the number of features, and
            both halves have the same weights.
        floors: (F,) least spread of a residual.
    """
    folds = training_set.folds
    mask = np.tile(training_set.mask, len(weights) // len(training_set.weights))
    autoencoder = _learn(training_set, windows, weights)
    if autoencoder is None:
        return None
    rows = np.flatnonzero(folds >= 0)
    squares = np.zeros_like(windows.cells)
    for m in range(training_set.members):
        here = rows[folds[rows] == m]
        member = autoencoder.member(m)
        squares[here] = window_residuals(member, windows.cells[here], weights)[0] ** 2
    parts = contiguous_folds(len(rows), PARTS) if training_set.members == 1 else folds[rows]
    trusted = np.isin(rows, training_set.trusted_rows)
    logs = np.zeros(len(rows))
    for part in np.unique(parts):
        others = rows[(parts != part) & trusted]
        spreads = _spreads(squares, windows.present, others if others.size else rows, floors)
        here = rows[parts == part]
        _, logs[parts == part] = measured(
            squares[here], windows.present[here], mask[here], spreads, weights
        )
    found = ResidualView(
        autoencoder=autoencoder,
        weights=weights,
        spreads=_spreads(
            squares, windows.present, rows[trusted] if trusted.any() else rows, floors
        ),
        view=fit_view("series", logs),
    )
    return FittedWindows(found, found.view.surprise(logs))


def _learn(training_set: TrainingSet, windows: Windows, weights: Floats) -> Autoencoder | None:
    """Return the principal components of each member's windows; None if there are too few windows.

    Args:
        training_set: N records.
        windows: windows of these records.
        weights: (F,) weights of the features in windows.
    """
    judged = np.flatnonzero(weights > 0)
    flat = windows.cells[:, :, judged].reshape(len(windows.cells), -1)
    independent = training_set.width * (len(weights) // len(training_set.weights))
    whole = np.asarray(windows.present.all(axis=1), dtype=bool)
    pools = [pool[whole[pool]] for pool in training_set.pools]
    if min(len(pool) for pool in pools) < 2 * windows.cells.shape[1] or not judged.size:
        return None
    found = [_components(flat[pool]) for pool in pools]
    most = max(1, int(CODE_SHARE * windows.cells.shape[1] * independent))
    shares = [np.cumsum(values) / max(values.sum(), 1e-12) for _, values, _ in found]
    code = max(int(np.searchsorted(share, EXPLAINED)) + 1 for share in shares)
    code = min(code, most, *(len(values) for _, values, _ in found))
    members = []
    for centre, _, vectors in found:
        into = vectors[:, :code]
        members.append(
            Autoencoder(
                weights=(as_layer(into), as_layer(into.T)),
                biases=(as_layer(-centre @ into), as_layer(centre)),
                activations=("linear", "linear"),
                encoder_layers=1,
                outputs=Outputs.linear(flat.shape[1]),
            )
        )
    return stack(members)


def _components(
    flat: Floats,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean (D,) of windows (n, D), the variances (K,) and the directions (D, K).

    The largest variance comes first.
    """
    centre = flat.mean(axis=0, dtype=np.float64)
    gaps = flat - centre
    if len(flat) < flat.shape[1]:
        _, sizes, vectors = np.linalg.svd(gaps, full_matrices=False)
        return centre, sizes**2 / len(flat), vectors.T
    values, vectors = np.linalg.eigh(gaps.T @ gaps / len(flat))
    return centre, np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _spreads(squares: Floats, present: Mask, rows: Rows, floors: Floats) -> Floats:
    """Return the usual residuals (W, F) of the windows at `rows`, at least the floors (F,)."""
    seen = present[rows]
    total = (squares[rows] * seen[:, :, None]).sum(axis=0, dtype=np.float64)
    means = total / np.maximum(seen.sum(axis=0), 1)[:, None]
    found: Floats = np.maximum(np.sqrt(means), floors).astype(np.float32)
    return np.maximum(found, np.float32(1e-6))
