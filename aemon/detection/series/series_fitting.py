"""Fitting of a series view to windows of normal records, and scores of held-out records."""

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.values.times import MOST_TOGETHER
from aemon.detection.arrays import Floats, Mask, Values
from aemon.detection.autoencoders.training_set import TrainingSet
from aemon.detection.scoring.combining import fit_view
from aemon.detection.scoring.relations import without_context
from aemon.detection.series.calendars import Calendar
from aemon.detection.series.levels import BLOCK_RECORDS
from aemon.detection.series.residual_view import TINY
from aemon.detection.series.room import Room
from aemon.detection.series.seasons import find_season
from aemon.detection.series.series_view import LevelView, SeriesView
from aemon.detection.series.window_fitting import fit_windows
from aemon.detection.series.windows import Runs, Windows, gaps_of, longest_gap, runs_of
from aemon.frame import Frame

LEAST_WIDTH = 2

USUAL_WIDTH, LEAST_LIKENESS = 4, 0.2
"""Default number of records in a window; and the least autocorrelation of records for which windows
are used by default."""

ROOM = 2.0
"""Bounds of records that serve as context, as a multiple of the training values."""

MOST_CELLS = 2_000
"""Largest number of cells in a window: windows of wide tables have fewer records."""

LEAST_LEVEL_SPREAD = 1e-3
"""Least spread of the gaps to a level, in spreads of the feature; less is an effect of rounding."""


class SeriesPlan(NamedTuple):
    """Settings for judging records together with earlier records."""

    width: int  # records in a window, W; 1 for no windows
    calendar: Calendar | None  # calendar for the search for a season; None for no search


class FittedSeries(NamedTuple):
    """A series view, and its scores of held-out normal records."""

    view: SeriesView
    scores: Values  # (n,) scores of the held-out records


def plan_series(settings: LearningSettings, training_set: TrainingSet, frame: Frame) -> SeriesPlan:
    """Plan how N records (of the training set and the frame) are judged together.

    A configured window takes precedence. If it is a duration, the window has the number of records
    that usually arrive in this time. Without a configured window, only kind `auto` uses windows.
    """
    calendar = None
    if settings.detector.seasons:
        calendar = Calendar(zone=settings.timezone, holidays=settings.holidays or "")
    return SeriesPlan(_width(settings.detector, training_set, frame), calendar)


def _width(settings: DetectorSettings, training_set: TrainingSet, frame: Frame) -> int:
    window = settings.window
    if settings.series is False:
        return 1
    if isinstance(window, timedelta):
        gaps = gaps_of(frame.entities, frame.times)
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
    """Fit a series view to normal records; None if too few records follow each other.

    The autoencoders are linear: a member has the principal components of windows outside its fold.

    Args:
        training_set: N records in the order of time.
        filled: (N, F) features of the N records, with missing cells filled.
        floors: (F,) least spread of a residual.
        frame: the N records, with entities and times.
        plan: settings for judging records together.
        alone: (n,) scores of the held-out records without regard to earlier records.
    """
    weights, mask, folds = training_set.weights, training_set.mask, training_set.folds
    width = min(plan.width, MOST_CELLS // max(int((weights > 0).sum()), 1))
    if width < LEAST_WIDTH:
        return None
    means = filled.mean(axis=0, dtype=np.float64)
    gaps, slopes = without_context(filled - means, weights)
    centred: Floats = (gaps * (weights > 0)).astype(np.float32)
    found = None
    if plan.calendar is not None:
        found = find_season(centred, mask, frame.times, folds, plan.calendar)
    centred = centred if found is None else centred - found.held_out
    longest = longest_gap(frame.entities, frame.times)
    runs = runs_of(frame.entities, frame.times, longest, None, frame.stretches)
    room = Room(lows=ROOM * centred.min(axis=0), highs=ROOM * centred.max(axis=0))
    ground = _Ground(centred, runs, room, width)
    seen = fit_windows(training_set, ground.windows(centred), weights, floors)
    if seen is None:
        return None
    levels = _fit_levels(training_set, ground, floors, frame)
    surprises = seen.surprises if levels is None else (seen.surprises + levels.surprises) / 2
    rows = np.flatnonzero(folds >= 0)
    smoothed = _smoothed(surprises, frame.take(rows), longest)
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
    surprises, _ = view.joined(smoothed, view.of_season(centred[rows], mask[rows]))
    scores = view.scores(surprises, alone)
    return FittedSeries(_with_tails(view, filled, mask, frame), scores)


def _with_tails(view: SeriesView, filled: Floats, mask: Mask, frame: Frame) -> SeriesView:
    """Return the view with tails: the last training records of each entity."""
    in_order = pd.Series(frame.entities)
    rows = np.sort(in_order.groupby(in_order).tail(view.context_rows + 1).index.to_numpy())
    last = frame.take(rows)
    seen = view.look(filled[rows], mask[rows], last.entities, last.times, None, last.stretches)
    return replace(view, training_tails=seen.tails)


def _smoothed(surprises: Values, tried: Frame, longest: np.timedelta64) -> Values:
    """Return the surprises (n,) of the tried records, smoothed over the runs of these records."""
    runs = runs_of(tried.entities, tried.times, longest, None, tried.stretches)
    return runs.smoothed(surprises)


class _Ground(NamedTuple):
    """N records, divided into runs of consecutive records."""

    centred: Floats  # (N, F) features minus the usual values at the record's time
    runs: Runs
    room: Room
    width: int  # records in a window

    def windows(self, cells: Floats) -> Windows:
        """Return windows of N records with these cells (N, F or more)."""
        return self.room.held_in(self.runs.windows(cells, self.width))


class _FittedLevels(NamedTuple):
    """A view of windows with gaps to levels, and its surprises of held-out normal records."""

    view: LevelView
    surprises: Values  # (n,)


def _fit_levels(
    training_set: TrainingSet, ground: _Ground, floors: Floats, frame: Frame
) -> _FittedLevels | None:
    """Fit a view of windows with gaps to levels; None if the times do not define blocks.

    Args:
        training_set: N records.
        ground: the same records, in runs.
        floors: (F,) least spread of a residual.
        frame: the N records.
    """
    centred, runs, room, width = ground
    if 2 * width * int((training_set.weights > 0).sum()) > MOST_CELLS:
        return None
    pauses = gaps_of(frame.entities, frame.times)
    pauses = pauses[pauses > 0]
    if not pauses.size:
        return None
    block = np.timedelta64(int(BLOCK_RECORDS * np.median(pauses)), "us")
    gaps, _ = runs.levels(centred, room.holds(centred), frame.times, block)
    scale = np.maximum(gaps[training_set.trusted_rows].std(axis=0), LEAST_LEVEL_SPREAD)
    scale = scale.astype(np.float32)
    windows = ground.windows(np.concatenate([centred, gaps / scale], axis=1))
    weights = np.tile(training_set.weights, 2)
    seen = fit_windows(training_set, windows, weights, np.tile(floors, 2))
    if seen is None:
        return None
    return _FittedLevels(LevelView(block=block, scale=scale, windows=seen.view), seen.surprises)
