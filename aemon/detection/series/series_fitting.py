"""Fitting a series view: what windows of normal records look like, and how they are scored."""

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.values.times import MOST_TOGETHER
from aemon.detection.arrays import Floats, Mask, Rows, Texts, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.closed_form import as_layer, stack
from aemon.detection.autoencoders.sizing import CODE_SHARE
from aemon.detection.autoencoders.training_set import TrainingSet, contiguous_folds
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.combining import View, fit_view
from aemon.detection.scoring.relations import without_context
from aemon.detection.series.seasons import find_season
from aemon.detection.series.series_view import TINY, SeriesView, window_residuals
from aemon.detection.series.windows import Times, Windows, runs_of
from aemon.frame import Frame

EXPLAINED = 0.9
"""Share of the variance of windows that the code need not exceed. (On plants and servers 0.8 to
0.95 differ by less than the sets do.)"""

USUAL_GAPS, LONGEST_SHARE = 3.0, 0.99
"""A run ends at a gap longer than so many times the median one, and than this share of them."""

LEAST_WIDTH = 2

USUAL_WIDTH, LEAST_LIKENESS = 4, 0.2
"""Records seen together where those in a row share so much of their variance."""

ROOM = 2.0
"""Records before one that lie beyond so many times what was seen in training are no past of it."""

MOST_CELLS = 2_000
"""Cells of a window: of wide tables fewer records are seen together."""

PARTS = 5
"""The fold of a single member is cut into so many, each held against the spreads of the others."""


class SeriesPlan(NamedTuple):
    """How records are to be seen together."""

    width: int  # records in a window, W; 1: none
    zone: str  # of the clock by which rhythms are looked for; empty: none are


class FittedSeries(NamedTuple):
    """A series view, and what it makes of held-out normal records."""

    view: SeriesView
    scores: Values  # (n,) of the records that were held out


def plan_series(settings: LearningSettings, training_set: TrainingSet, frame: Frame) -> SeriesPlan:
    """Plan how N records (of the set, and of the frame) are to be seen together.

    By choice; a stretch of time holds as many as usually come in it. Else for kind `auto` alone.
    """
    zone = settings.timezone if settings.detector.seasons else ""
    return SeriesPlan(_width(settings.detector, training_set, frame), zone)


def _width(settings: DetectorSettings, training_set: TrainingSet, frame: Frame) -> int:
    window = settings.window
    if settings.series is False:
        return 1
    if isinstance(window, timedelta):
        gaps = _gaps(frame.entities, frame.times)
        pause = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else np.inf
        return int(np.clip(round(window / timedelta(microseconds=1) / pause), 1, MOST_TOGETHER))
    if window is not None or settings.kind != "auto":
        return window or 1
    alike = training_set.series and training_set.likeness.mean >= LEAST_LIKENESS
    return USUAL_WIDTH if settings.series is True or alike else 1


def fit_series(
    training_set: TrainingSet,
    filled: Floats,
    floors: Floats,
    frame: Frame,
    *,
    plan: SeriesPlan,
    alone: Values,
) -> FittedSeries | None:
    """Fit a series view to normal records; None where too few of them follow each other.

    The autoencoder is linear: principal components of windows, of each member those of the records
    outside its fold. Every window is held against the member that has not seen its record.

    Args:
        training_set: N records in the order of time.
        filled: (N, F) their features, missing ones filled.
        floors: (F,) the least spread believed of a residual.
        frame: the N records, for their entities and times.
        plan: how they are to be seen together.
        alone: (n,) scores of the held-out records, each as one never seen and without the others.
    """
    weights, mask, folds = training_set.weights, training_set.mask, training_set.folds
    judged = np.flatnonzero(weights > 0)
    width = min(plan.width, MOST_CELLS // max(len(judged), 1))
    if width < LEAST_WIDTH:
        return None
    means = filled.mean(axis=0, dtype=np.float64)
    apart, slopes = without_context(filled - means, weights)
    centred: Floats = (apart * (weights > 0)).astype(np.float32)
    found = find_season(centred, mask, frame.times, folds, plan.zone) if plan.zone else None
    centred = centred if found is None else centred - found.held_out
    longest = longest_gap(frame.entities, frame.times)
    windows = runs_of(frame.entities, frame.times, longest).windows(centred, width)
    autoencoder = _learn(training_set, windows, judged)
    if autoencoder is None:
        return None
    bare = SeriesView(
        width=width,
        longest_gap=longest,
        means=means.astype(np.float32),
        slopes=slopes.astype(np.float32),
        lows=ROOM * centred.min(axis=0),
        highs=ROOM * centred.max(axis=0),
        weights=weights,
        autoencoder=autoencoder,
        spreads=np.ones((width, len(weights)), dtype=np.float32),
        view=View(name="series", start=0.0, scale=1.0),
        record_threshold=np.inf,
        alone=fit_view("alone", np.log(np.maximum(alone, TINY))),
        season=found.season if found is not None else None,
    )
    fitted, smoothed = _calibrated(bare, training_set, windows, floors, frame)
    view = replace(fitted, together=fit_view("together", smoothed))
    rows = np.flatnonzero(folds >= 0)
    surprises, _ = view.joined(smoothed, centred[rows], mask[rows])
    return FittedSeries(view, view.scores(surprises, alone))


def longest_gap(entities: Texts, times: Times) -> np.timedelta64:
    """Return how long records of one entity may be apart, and follow each other."""
    gaps = _gaps(entities, times)
    if not len(gaps):
        return np.timedelta64(0, "us")
    longest = max(USUAL_GAPS * float(np.median(gaps)), float(np.quantile(gaps, LONGEST_SHARE)))
    return np.timedelta64(int(longest), "us")


def _gaps(entities: Texts, times: Times) -> npt.NDArray[np.int64]:
    """Microseconds between one record of an entity and the next (n,)."""
    order = np.lexsort((times, entities.astype(str)))
    same = entities[order][1:] == entities[order][:-1]
    found = (times[order][1:] - times[order][:-1])[same].astype("timedelta64[us]")
    return np.asarray(found.astype(np.int64))


def _learn(training_set: TrainingSet, windows: Windows, judged: Rows) -> Autoencoder | None:
    """The principal components of each member's windows; None where there are too few."""
    flat = windows.cells[:, :, judged].reshape(len(windows.cells), -1)
    whole = np.asarray(windows.there.all(axis=1), dtype=bool)
    pools = [pool[whole[pool]] for pool in training_set.pools]
    if min(len(pool) for pool in pools) < 2 * windows.cells.shape[1] or not judged.size:
        return None
    found = [_components(flat[pool]) for pool in pools]
    most = max(1, int(CODE_SHARE * windows.cells.shape[1] * training_set.width))
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
    """The middle (D,) of windows (n, D), variances (K,), largest first, and directions (D, K)."""
    centre = flat.mean(axis=0, dtype=np.float64)
    gaps = flat - centre
    if len(flat) < flat.shape[1]:
        _, sizes, vectors = np.linalg.svd(gaps, full_matrices=False)
        return centre, sizes**2 / len(flat), vectors.T
    values, vectors = np.linalg.eigh(gaps.T @ gaps / len(flat))
    return centre, np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _calibrated(
    bare: SeriesView,
    training_set: TrainingSet,
    windows: Windows,
    floors: Floats,
    frame: Frame,
) -> tuple[SeriesView, Values]:
    """The view with spreads and a tail fitted to held-out records, and their surprises (n,)."""
    folds = training_set.folds
    rows = np.flatnonzero(folds >= 0)
    held = bare.held_in(windows)
    squares = np.zeros_like(held.cells)
    for m in range(training_set.members):
        here = rows[folds[rows] == m]
        member = bare.autoencoder.member(m)
        squares[here] = window_residuals(member, held.cells[here], bare.weights)[0] ** 2
    parts = contiguous_folds(len(rows), PARTS) if training_set.members == 1 else folds[rows]
    teach = np.isin(rows, training_set.teachers)
    logs = np.zeros(len(rows))
    for part in np.unique(parts):
        others = rows[(parts != part) & teach]
        spreads = _spreads(squares, windows.there, others if others.size else rows, floors)
        here = rows[parts == part]
        _, logs[parts == part] = bare.measured(
            squares[here], windows.there[here], training_set.mask[here], spreads
        )
    view = replace(
        bare,
        spreads=_spreads(squares, windows.there, rows[teach] if teach.any() else rows, floors),
        view=fit_view("series", logs),
    )
    runs = runs_of(frame.entities[rows], frame.times[rows], view.longest_gap)
    return view, runs.smoothed(view.view.surprise(logs))


def _spreads(squares: Floats, there: Mask, rows: Rows, floors: Floats) -> Floats:
    """Usual residuals (W, F) of some windows, never below the floors (F,)."""
    seen = there[rows]
    total = (squares[rows] * seen[:, :, None]).sum(axis=0, dtype=np.float64)
    means = total / np.maximum(seen.sum(axis=0), 1)[:, None]
    found: Floats = np.maximum(np.sqrt(means), floors).astype(np.float32)
    return np.maximum(found, np.float32(1e-6))
