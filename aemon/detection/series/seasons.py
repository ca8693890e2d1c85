"""Finds a season in normal records, and predicts values; a season repeats by day or week."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask, Rows, Times, Values
from aemon.detection.scoring.combining import View, fit_view
from aemon.detection.series.calendars import Calendar

Matrix = npt.NDArray[np.float64]

HARMONICS = 4
"""Number of sines that describe a smooth daily course; the shortest period is six hours."""

STEPS = (24, 96)
"""Numbers of steps that describe a daily course that is not smooth: hours, or quarter hours."""

LEAST_SHARE = 0.1
"""Least share of a feature's variance that a season must explain in held-out records."""

RIDGE = 1.0  # number of records with the value 0 that are added to each step

LEAST_SPREAD, TINY = 1e-3, 1e-9

BLOCK_RECORDS = 8_192

_WORKDAYS = 5


class Rhythm(StrEnum):
    """The period after which a pattern repeats."""

    DAY = "day"
    WORKDAY = "workday"  # a day, separately for the five workdays and the weekend
    WEEK = "week"


LEAST_DAYS = {Rhythm.DAY: 2.5, Rhythm.WORKDAY: 13, Rhythm.WEEK: 20}
"""Rhythm -> least time between the first and the last record, in days.

The pattern must occur at least twice in the records outside of a held-out fold.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Season:
    """Expected values of features at each time of the day or of the week.

    `find_season` returns it.

    Attributes:
        rhythm: the period after which the pattern repeats.
        steps: number of steps of a day; 0 if sines are used.
        calendar: calendar for the local time.
        effects: (S, F) effect of each step or sine; 0 for features without a season.
        spreads: (F,) usual gaps to the expected values; infinite for features without a season.
        view: view that measures the logarithm of the mean squared gap.
    """

    rhythm: Rhythm
    steps: int
    calendar: Calendar
    effects: Floats
    spreads: Floats
    view: View

    def at(self, times: Times) -> Floats:
        """Return expected features (N, F) at these times (N,), as differences from their mean."""
        parts = [
            _basis(self.rhythm, self.steps, times[block], self.calendar) @ self.effects
            for block in _blocks(len(times))
        ]
        found: Floats = np.concatenate([np.zeros((0, self.effects.shape[1])), *parts])
        return found.astype(np.float32)

    @property
    def summary(self) -> str:
        """Description of the season as text."""
        words = {Rhythm.DAY: "the hour of the day", Rhythm.WEEK: "the hour of the week"}
        rhythm = words.get(
            self.rhythm, "the hour of the day, separately for workdays and the weekend"
        )
        free = self.calendar.holidays
        holidays = f", public holidays of {free} as Sundays" if free and self.by_weekday else ""
        return f"{rhythm}{holidays} ({self.calendar.zone})"

    @property
    def by_weekday(self) -> bool:
        """Whether the expected values depend on the weekday."""
        return self.rhythm is not Rhythm.DAY

    def measured(self, centred: Floats, mask: Mask) -> tuple[Floats, Values]:
        """Return squared gaps (N, F) in usual gaps, and the logarithm (N,) of their mean.

        Args:
            centred: (N, F) features minus expected values.
            mask: (N, F), True for observed cells.
        """
        gaps: Floats = (centred / self.spreads) ** 2 * mask
        count = (mask & np.isfinite(self.spreads)).sum(axis=1)
        means = gaps.sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
        return gaps, np.log(np.maximum(means, TINY))

    def label(self, time: np.datetime64) -> str:
        """Return the local time as text, with the weekday if the season depends on the weekday.

        >>> nothing = np.zeros((24, 1), dtype=np.float32)
        >>> view = View(name="season", start=0.0, scale=1.0)
        >>> season = Season(
        ...     rhythm=Rhythm.DAY, steps=24, calendar=Calendar(zone="UTC"), effects=nothing,
        ...     spreads=nothing, view=view,
        ... )
        >>> season.label(np.datetime64("2026-03-03T10:20"))
        '10:20'
        """
        local = pd.Timestamp(time).tz_localize("UTC").tz_convert(self.calendar.zone)
        clock = f"{local:%H:%M}"
        return f"{self.calendar.day_name(local)} at {clock}" if self.by_weekday else clock


class FoundSeason(NamedTuple):
    """A season that was found in records, with the values that it predicts for these records."""

    season: Season
    held_out: Floats  # (N, F), each value predicted from the records of the other folds


def find_season(
    centred: Floats, mask: Mask, times: Times, folds: Rows, calendar: Calendar
) -> FoundSeason | None:
    """Return the season that explains the most variance; None if no season explains enough.

    For each fold, a season is fitted to the records of the other folds and tested on the fold.

    Args:
        centred: (N, F) features minus their mean.
        mask: (N, F), True for observed cells.
        times: (N,) event times, in order.
        folds: (N,) fold of each record, contiguous in time; -1 for records without a fold.
        calendar: calendar of the local time.
    """
    if not len(times):
        return None
    days = (times.max() - times.min()) / np.timedelta64(1, "D")
    best: tuple[float, Rhythm, int, Matrix] | None = None
    for rhythm in Rhythm:
        if days < LEAST_DAYS[rhythm]:
            continue
        for steps in (0, *STEPS[: 1 if rhythm is Rhythm.WEEK else None]):
            held_out = _held_out(rhythm, steps, centred, times, folds, calendar)
            shares = _explained(centred, held_out, folds >= 0)
            mean = float(np.maximum(shares, 0.0).mean())
            if best is None or mean > best[0]:
                best = mean, rhythm, steps, held_out * (shares >= LEAST_SHARE)
    if best is None or not best[-1].any():
        return None
    _, rhythm, steps, held_out = best
    kept = held_out.any(axis=0)
    moments = _moments(rhythm, steps, centred, times, calendar)
    effects = (_solved(*moments) * kept).astype(np.float32)
    left = (centred - held_out)[tried := folds >= 0]
    spreads = np.maximum(left.std(axis=0), LEAST_SPREAD)
    bare = Season(
        rhythm=rhythm,
        steps=steps,
        calendar=calendar,
        effects=effects,
        spreads=np.where(kept, spreads, np.inf).astype(np.float32),
        view=View(name="season", start=0.0, scale=1.0),
    )
    _, logs = bare.measured(left.astype(np.float32), mask[tried])
    season = replace(bare, view=fit_view("season", logs))
    expected = np.where(tried[:, None], held_out, season.at(times))
    return FoundSeason(season, expected.astype(np.float32))


def _held_out(
    rhythm: Rhythm, steps: int, centred: Floats, times: Times, folds: Rows, calendar: Calendar
) -> Matrix:
    """Return the values (N, F) that a season fitted to the other folds predicts for each record."""
    found = np.zeros(centred.shape)
    whole = _moments(rhythm, steps, centred, times, calendar)
    for fold in np.unique(folds[folds >= 0]):
        here = np.flatnonzero(folds == fold)
        own = _moments(rhythm, steps, centred[here], times[here], calendar)
        effects = _solved(whole[0] - own[0], whole[1] - own[1])
        for block in _blocks(len(here)):
            rows = here[block]
            found[rows] = _basis(rhythm, steps, times[rows], calendar) @ effects
    return found


def _explained(centred: Floats, expected: Matrix, tried: Mask) -> Matrix:
    """Return the share (F,) of the variance of each feature that the expected values explain."""
    power = (centred[tried] ** 2).mean(axis=0, dtype=np.float64)
    left = ((centred[tried] - expected[tried]) ** 2).mean(axis=0, dtype=np.float64)
    shares: Matrix = 1.0 - np.divide(left, power, out=np.ones_like(power), where=power > 0)
    return shares


def _moments(
    rhythm: Rhythm, steps: int, centred: Floats, times: Times, calendar: Calendar
) -> tuple[Matrix, Matrix]:
    """Return the sums over records of basis times basis (S, S), and basis times features (S, F)."""
    width = _basis(rhythm, steps, times[:1], calendar).shape[1]
    own, with_features = np.zeros((width, width)), np.zeros((width, centred.shape[1]))
    for block in _blocks(len(times)):
        basis = _basis(rhythm, steps, times[block], calendar)
        own += basis.T @ basis
        with_features += basis.T @ centred[block]
    return own, with_features


def _solved(own: Matrix, with_features: Matrix) -> Matrix:
    found = np.linalg.solve(own + RIDGE * np.eye(len(own)), with_features)
    return np.asarray(found, dtype=np.float64)


def _basis(rhythm: Rhythm, steps: int, times: Times, calendar: Calendar) -> Matrix:
    """Return the basis (N, S): the factors of a season's S effects at these times (N,)."""
    weekday, share = calendar.local(times)
    if rhythm is Rhythm.WEEK:
        if steps:
            return _one_hot(weekday * steps + (share * steps).astype(np.intp), 7 * steps)
        return _sines((weekday + share) / 7, range(1, 7 * HARMONICS + 1))
    day = _of_day(share, steps)
    if rhythm is Rhythm.DAY:
        return day
    workday = (weekday < _WORKDAYS).astype(np.float64)[:, None]
    return np.concatenate([day * workday, day * (1.0 - workday)], axis=1)


def _of_day(share: Matrix, steps: int) -> Matrix:
    """Return steps or sines (N, S) for the elapsed share of the day (N,)."""
    if steps:
        return _one_hot((share * steps).astype(np.intp), steps)
    return _sines(share, range(1, HARMONICS + 1))


def _one_hot(places: Rows, count: int) -> Matrix:
    found = np.zeros((len(places), count))
    found[np.arange(len(places)), places] = 1.0
    return found


def _sines(share: Matrix, harmonics: Sequence[int]) -> Matrix:
    """Return a constant, and sines and cosines of a share of a period (N, 1 + 2 H)."""
    angles = 2 * np.pi * share[:, None] * np.asarray(harmonics)
    found: Matrix = np.concatenate(
        [np.ones((len(share), 1)), np.sin(angles), np.cos(angles)], axis=1
    )
    return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK_RECORDS) for start in range(0, count, BLOCK_RECORDS))
