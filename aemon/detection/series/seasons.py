"""Rhythms of the day and the week: found in normal records, and what they lead to expect."""

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
"""Of a day, where its course is smooth: down to six hours."""

STEPS = (24, 96)
"""Of a day, where its course is not: hours, and quarters of an hour."""

LEAST_SHARE = 0.1
"""Of a feature's variance in records that did not teach it: a rhythm tells that much or nothing."""

RIDGE = 1.0  # records at 0 beside those of each step

LEAST_SPREAD, TINY = 1e-3, 1e-9

BLOCK_RECORDS = 8_192

_WORKDAYS = 5


class Rhythm(StrEnum):
    """What comes again."""

    DAY = "day"
    WORKDAY = "workday"  # a day, apart for the five workdays and the weekend
    WEEK = "week"


LEAST_DAYS = {Rhythm.DAY: 2.5, Rhythm.WORKDAY: 13, Rhythm.WEEK: 20}
"""Of records: two repetitions without those of a fold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Season:
    """What a rhythm leads to expect of features. Made by `find_season`.

    Attributes:
        rhythm: what comes again.
        steps: into how many a day is cut; 0 where it is a few sines.
        calendar: of the clock on the wall.
        effects: (S, F) of each step or sine; 0 for features without the rhythm.
        spreads: (F,) usual gaps to what is expected; infinite for features without the rhythm.
        view: of the logarithm of the mean squared gap.
    """

    rhythm: Rhythm
    steps: int
    calendar: Calendar
    effects: Floats
    spreads: Floats
    view: View

    def at(self, times: Times) -> Floats:
        """Return what is expected of the features (N, F) at these times (N,), about their middle."""
        parts = [
            _basis(self.rhythm, self.steps, times[block], self.calendar) @ self.effects
            for block in _blocks(len(times))
        ]
        found: Floats = np.concatenate([np.zeros((0, self.effects.shape[1])), *parts])
        return found.astype(np.float32)

    @property
    def summary(self) -> str:
        """The rhythm in plain words."""
        turn = {Rhythm.DAY: "the hour of the day", Rhythm.WEEK: "the hour of the week"}
        told = turn.get(self.rhythm, "the hour of the day, apart for workdays and the weekend")
        free = self.calendar.holidays
        holidays = f", public holidays of {free} as Sundays" if free and self.by_weekday else ""
        return f"{told}{holidays} ({self.calendar.zone})"

    @property
    def by_weekday(self) -> bool:
        """Whether days of the week differ."""
        return self.rhythm is not Rhythm.DAY

    def measured(self, centred: Floats, mask: Mask) -> tuple[Floats, Values]:
        """Squared gaps (N, F) in usual ones, and the logarithm (N,) of their mean.

        Args:
            centred: (N, F) features about what is expected.
            mask: (N, F), which cells were observed.
        """
        gaps: Floats = (centred / self.spreads) ** 2 * mask
        count = (mask & np.isfinite(self.spreads)).sum(axis=1)
        means = gaps.sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
        return gaps, np.log(np.maximum(means, TINY))

    def label(self, time: np.datetime64) -> str:
        """Say which time it is, as far as the rhythm tells it from others.

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
    """A rhythm, and what it leads to expect of the records it was found in."""

    season: Season
    held_out: Floats  # (N, F), each by the records of the other folds


def find_season(
    centred: Floats, mask: Mask, times: Times, folds: Rows, calendar: Calendar
) -> FoundSeason | None:
    """Find the rhythm that tells most of features; None where none tells enough.

    Each is fitted to the records outside a fold, and tried on those in it.

    Args:
        centred: (N, F) features about their middle.
        mask: (N, F), which cells were observed.
        times: (N,) event times, in order.
        folds: (N,) stretches of time; -1 for records that are never tried.
        calendar: of the clock on the wall.
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
            shares = _told(centred, held_out, folds >= 0)
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
    """What the records of the other folds lead to expect of each record (N, F)."""
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


def _told(centred: Floats, expected: Matrix, tried: Mask) -> Matrix:
    """The share of each feature's variance (F,) that an expectation tells."""
    power = (centred[tried] ** 2).mean(axis=0, dtype=np.float64)
    left = ((centred[tried] - expected[tried]) ** 2).mean(axis=0, dtype=np.float64)
    told: Matrix = 1.0 - np.divide(left, power, out=np.ones_like(power), where=power > 0)
    return told


def _moments(
    rhythm: Rhythm, steps: int, centred: Floats, times: Times, calendar: Calendar
) -> tuple[Matrix, Matrix]:
    """Products of the basis with itself (S, S) and with features (S, F), summed over records."""
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
    """What the effects of a rhythm are multiplied with at these times (N, S)."""
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
    """Steps or sines of a day (N, S) of which a share (N,) is over."""
    if steps:
        return _one_hot((share * steps).astype(np.intp), steps)
    return _sines(share, range(1, HARMONICS + 1))


def _one_hot(places: Rows, count: int) -> Matrix:
    found = np.zeros((len(places), count))
    found[np.arange(len(places)), places] = 1.0
    return found


def _sines(share: Matrix, harmonics: Sequence[int]) -> Matrix:
    """A constant, and sines and cosines of a turn (N, 1 + 2 H)."""
    angles = 2 * np.pi * share[:, None] * np.asarray(harmonics)
    found: Matrix = np.concatenate(
        [np.ones((len(share), 1)), np.sin(angles), np.cos(angles)], axis=1
    )
    return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK_RECORDS) for start in range(0, count, BLOCK_RECORDS))
