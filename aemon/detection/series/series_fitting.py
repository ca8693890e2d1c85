"""Fitting a series view: what windows of normal records look like, and how they are scored."""

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
from aemon.detection.scoring.combining import fit_view
from aemon.detection.scoring.relations import without_context
from aemon.detection.series.levels import BLOCK_RECORDS, Times
from aemon.detection.series.residual_view import TINY, ResidualView, measured, window_residuals
from aemon.detection.series.room import Room
from aemon.detection.series.seasons import find_season
from aemon.detection.series.series_view import LevelView, SeriesView
from aemon.detection.series.windows import Runs, Windows, runs_of
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

LEAST_LEVEL_SPREAD = 1e-3
"""Of the gaps to a level, in spreads of the feature: what varies less is rounding."""

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

    The autoencoders are linear: principal components of windows, of each member those of the records
    outside its fold.

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
    runs = runs_of(frame.entities, frame.times, longest)
    room = Room(lows=ROOM * centred.min(axis=0), highs=ROOM * centred.max(axis=0))
    windows = room.held_in(runs.windows(centred, width))
    seen = _fit_windows(training_set, windows, weights, floors)
    if seen is None:
        return None
    levels = None
    if 2 * width * len(judged) <= MOST_CELLS:
        levels = _fit_levels(training_set, runs, room, centred, floors, frame, width)
    surprises = seen.surprises if levels is None else (seen.surprises + levels.surprises) / 2
    rows = np.flatnonzero(folds >= 0)
    smoothed = runs_of(frame.entities[rows], frame.times[rows], longest).smoothed(surprises)
    view = SeriesView(
        width=width,
        longest_gap=longest,
        means=means.astype(np.float32),
        slopes=slopes.astype(np.float32),
        room=room,
        weights=weights,
        windows=seen.view,
        record_threshold=np.inf,
        together=fit_view("together", smoothed),
        alone=fit_view("alone", np.log(np.maximum(alone, TINY))),
        season=found.season if found is not None else None,
        levels=levels.view if levels is not None else None,
    )
    surprises, _ = view.joined(smoothed, centred[rows], mask[rows])
    return FittedSeries(view, view.scores(surprises, alone))


class _Fitted(NamedTuple):
    """A view of windows, and what it makes of held-out normal records."""

    view: ResidualView
    surprises: Values  # (n,)


class _FittedLevels(NamedTuple):
    """The same, beside levels."""

    view: LevelView
    surprises: Values  # (n,)


def _fit_levels(
    training_set: TrainingSet,
    runs: Runs,
    room: Room,
    centred: Floats,
    floors: Floats,
    frame: Frame,
    width: int,
) -> _FittedLevels | None:
    """Fit windows beside levels; None where times do not tell what a level is.

    Args:
        training_set: N records.
        runs: of theirs.
        room: records beyond it count for no level.
        centred: (N, F).
        floors: (F,) the least spread believed of a residual.
        frame: the N records.
        width: records in a window.
    """
    pauses = _gaps(frame.entities, frame.times)
    pauses = pauses[pauses > 0]
    if not pauses.size:
        return None
    block = np.timedelta64(int(BLOCK_RECORDS * np.median(pauses)), "us")
    gaps, _ = runs.levels(centred, room.holds(centred), frame.times, block)
    scale = np.maximum(gaps[training_set.teachers].std(axis=0), LEAST_LEVEL_SPREAD)
    scale = scale.astype(np.float32)
    windows = room.held_in(runs.windows(np.concatenate([centred, gaps / scale], axis=1), width))
    weights = np.tile(training_set.weights, 2)
    seen = _fit_windows(training_set, windows, weights, np.tile(floors, 2))
    if seen is None:
        return None
    return _FittedLevels(LevelView(block=block, scale=scale, windows=seen.view), seen.surprises)


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


def _learn(training_set: TrainingSet, windows: Windows, weights: Floats) -> Autoencoder | None:
    """The principal components of each member's windows; None where there are too few.

    Args:
        training_set: N records.
        windows: of theirs.
        weights: (F,) of the features of windows.
    """
    judged = np.flatnonzero(weights > 0)
    flat = windows.cells[:, :, judged].reshape(len(windows.cells), -1)
    independent = training_set.width * (len(weights) // len(training_set.weights))
    whole = np.asarray(windows.there.all(axis=1), dtype=bool)
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
    """The middle (D,) of windows (n, D), variances (K,), largest first, and directions (D, K)."""
    centre = flat.mean(axis=0, dtype=np.float64)
    gaps = flat - centre
    if len(flat) < flat.shape[1]:
        _, sizes, vectors = np.linalg.svd(gaps, full_matrices=False)
        return centre, sizes**2 / len(flat), vectors.T
    values, vectors = np.linalg.eigh(gaps.T @ gaps / len(flat))
    return centre, np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _fit_windows(
    training_set: TrainingSet, windows: Windows, weights: Floats, floors: Floats
) -> _Fitted | None:
    """Fit a view of windows to normal records; None where too few of them follow each other.

    Every window is held against the member that has not seen its record.

    Args:
        training_set: N records.
        windows: of theirs.
        weights: (F,) of the features of windows: those of the records, once or several times.
        floors: (F,) the least spread believed of a residual.
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
    teach = np.isin(rows, training_set.teachers)
    logs = np.zeros(len(rows))
    for part in np.unique(parts):
        others = rows[(parts != part) & teach]
        spreads = _spreads(squares, windows.there, others if others.size else rows, floors)
        here = rows[parts == part]
        _, logs[parts == part] = measured(
            squares[here], windows.there[here], mask[here], spreads, weights
        )
    found = ResidualView(
        autoencoder=autoencoder,
        weights=weights,
        spreads=_spreads(squares, windows.there, rows[teach] if teach.any() else rows, floors),
        view=fit_view("series", logs),
    )
    return _Fitted(found, found.view.surprise(logs))


def _spreads(squares: Floats, there: Mask, rows: Rows, floors: Floats) -> Floats:
    """Usual residuals (W, F) of some windows, never below the floors (F,)."""
    seen = there[rows]
    total = (squares[rows] * seen[:, :, None]).sum(axis=0, dtype=np.float64)
    means = total / np.maximum(seen.sum(axis=0), 1)[:, None]
    found: Floats = np.maximum(np.sqrt(means), floors).astype(np.float32)
    return np.maximum(found, np.float32(1e-6))
