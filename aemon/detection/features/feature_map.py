"""The feature map: conversion of a frame's columns to the numbers that an autoencoder reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Values
from aemon.detection.features.angles import as_circle
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.checks.constants import Constant, moved_of
from aemon.detection.features.checks.firsts import Never
from aemon.detection.features.checks.pairs import Pair, never_together
from aemon.detection.features.checks.ranges import Range, outside_of
from aemon.detection.features.checks.repeats import (
    Lengths,
    Repeats,
    find_frozen,
    none_too_long,
    run_lengths,
)
from aemon.detection.features.column_reading import (
    check_readable,
    check_there,
    read_categories,
    read_scaled,
)
from aemon.detection.features.columns import ColumnReport, named_columns
from aemon.detection.features.increases import Counter, Counts, increases
from aemon.detection.features.logarithms import JUDGED_WITH, Logarithm, logarithms
from aemon.detection.features.modes import Mode
from aemon.detection.features.outputs import Outputs
from aemon.detection.features.places import entity_places, one_hot
from aemon.detection.features.readings import Reading
from aemon.detection.features.resolution import half_steps
from aemon.frame import Frame

LARGEST_FEATURE = 1e4
"""Largest absolute value of a feature, in spreads. The sum of thousands of such values, squared and
whitened, does not overflow float32."""

ARRAYS = ("means", "spreads", "weights", "floors", "lows", "highs")
"""The attributes of a map that hold a number for each feature."""

RANGE_MARGIN = 0.1
"""An expected value may lie outside of its range in training by this share of the range's width."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMap:
    """The fitted preparation from columns to features. Only `fit_features` makes a feature map.

    The F features have this order:

    - one feature for each column of `scaled`;
    - for each column of `categorical`, one feature per category and one for unknown texts;
    - sine and cosine of each column of `angles`;
    - one feature for each of `logarithms`, then for each of `entities`, then for each mode.

    Attributes:
        columns: the kind of each column and the reason for this kind, in the frame's order.
        scaled: numeric and boolean columns.
        booleans: the columns of `scaled` that are boolean.
        categorical: each categorical column with its categories, the most frequent first.
        entities: entities that are context features; empty for fewer than 2 or more than 50.
        means: (F,) mean of each raw feature.
        spreads: (F,) spread of each raw feature; 0 for a constant, which becomes a feature of 0.
        weights: (F,) weight of each feature in errors; 0 for constants and context.
        floors: (F,) lower bound of each feature's usual residual, in spreads.
        lows: (F,) least raw value of each feature in training.
        highs: (F,) largest raw value of each feature in training.
        width: number of independent features that vary and are judged; the code size is smaller.
        angles: each column of degrees, with the degrees at which its full turn begins.
        readings: column -> how its cells are read; columns that need no preparation are left out.
        constants: watched columns that never moved in training.
        limits: each watched column, with the largest allowed number of equal numbers in a row.
        decimals: number of decimals of each scaled column, then of each angle, in training; -1 for
            endless decimals. Older detectors do not store the decimals of angles, or no decimals.
        units: rounding step of the same columns, in units of the last decimal; empty if not stored.
        ranges: configured ranges of numbers, and values that a column never had in training.
        mode: the column of modes, which are context; None if no such column is configured.
        counters: the columns of `scaled` that are judged by their increase.
        logarithms: the columns of `scaled` that are judged together with their logarithm.
        pairs: values of two columns that never came together in training; empty if not configured.
    """

    columns: tuple[ColumnReport, ...]
    scaled: tuple[str, ...]
    booleans: frozenset[str]
    categorical: tuple[tuple[str, tuple[str, ...]], ...]
    entities: tuple[str, ...]
    means: Values
    spreads: Values
    weights: Floats
    floors: Floats
    lows: Values
    highs: Values
    width: int
    angles: tuple[tuple[str, float], ...] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)
    constants: tuple[Constant, ...] = ()
    decimals: tuple[int, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    units: tuple[int, ...] = ()
    ranges: tuple[Range | Never, ...] = ()
    mode: Mode | None = None
    counters: tuple[Counter, ...] = ()
    logarithms: tuple[Logarithm, ...] = ()
    pairs: tuple[Pair, ...] = ()

    def __len__(self) -> int:
        return len(self.means)

    @property
    def context(self) -> int:
        """Number of context features: a record's entity and mode, as the last of its features."""
        return len(self.entities) + (len(self.mode) if self.mode is not None else 0)

    @property
    def numeric(self) -> list[str]:
        """Columns that are read as numbers: `scaled`, then `angles`."""
        return [*self.scaled, *(name for name, _ in self.angles)]

    @property
    def judged(self) -> tuple[tuple[str, slice | Rows], ...]:
        """Columns with a weight above 0, each with the indices of its features."""
        places: list[tuple[str, slice | Rows]]
        places = [(name, slice(i, i + 1)) for i, name in enumerate(self.scaled)]
        start = len(self.scaled)
        for name, categories in self.categorical:
            places.append((name, slice(start, start + len(categories) + 1)))
            start += len(categories) + 1
        for name, _ in self.angles:
            places.append((name, slice(start, start + 2)))
            start += 2
        for one in self.logarithms:
            places[one.place] = (one.column, np.array([one.place, start]))
            start += 1
        return tuple((name, place) for name, place in places if self.weights[place].any())

    @property
    def outputs(self) -> Outputs:
        """Output layer that converts the numbers of an autoencoder's last layer to features."""
        start, categories = len(self.scaled), []
        for _, texts in self.categorical:
            stop = start + len(texts) + 1
            if self.weights[start:stop].any():
                categories.append((start, stop))
            start = stop
        return Outputs(
            booleans=tuple(
                place
                for place, name in enumerate(self.scaled)
                if name in self.booleans and self.weights[place] > 0
            ),
            categories=tuple(categories),
            means=self.means.astype(np.float32),
            spreads=self.spreads.astype(np.float32),
        )

    def transform(self, frame: Frame) -> tuple[Floats, Mask]:
        """Return features X (N, F), 0 where missing, and a mask (N, F) of the observed features.

        Raises:
            FrameError: for the same reasons as `read`.
        """
        return self.features(self.read(frame), frame.entities)

    def read(
        self, frame: Frame, before: Repeats | None = None, counts: Counts | None = None
    ) -> RecordCells:
        """Read each learned column of N records that were fetched together.

        A cell that cannot be read is missing; mostly unreadable columns are named in the result.

        Args:
            frame: the records, in the order of time.
            before: stretches of equal numbers at the end of the earlier records.
            counts: numbers of the counters in the earlier records.

        Raises:
            FrameError: a judged column or the column of modes is missing, no judged column can be
                read, or two columns have the same name.
        """
        values = named_columns(frame.values)
        check_there(values, [name for name, _ in self.judged])
        numbers, wrong = read_scaled(values, self.scaled, self.booleans, self.readings)
        names = [name for name, _ in self.categorical]
        texts, opaque = read_categories(values, names, self.readings)
        angles, no_angles = read_scaled(
            values, [name for name, _ in self.angles], (), self.readings
        )
        unreadable = (*wrong, *opaque, *no_angles)
        check_readable(unreadable, [name for name, _ in self.judged])
        numbers, after = self._increased(numbers, frame, counts)
        both = np.hstack([numbers, angles])
        frozen, repeats = self._frozen(both, frame.entities, before)
        return RecordCells(
            modes=self.mode.read(values) if self.mode is not None else None,
            frozen=frozen,
            outside=outside_of(self.ranges, self.numeric, both),
            new_pairs=never_together(self.pairs, texts, self.scaled, self.booleans, numbers),
            repeats=repeats,
            counts=after,
            numbers=numbers,
            texts=texts,
            angles=angles,
            moved=moved_of(self.constants, self.scaled, numbers, texts),
            unreadable=unreadable,
        )

    def features(self, cells: RecordCells, entities: Texts) -> tuple[Floats, Mask]:
        """Return features X (N, F) of cells, and a mask (N, F) of the observed features.

        Args:
            cells: the cells of N records, as `read` returned them.
            entities: (N,) the entity of each record.
        """
        raw = np.zeros((len(cells), len(self)))
        count = len(self.scaled)
        raw[:, :count] = cells.numbers
        start = count
        for name, categories in self.categorical:
            stop = start + len(categories) + 1
            raw[:, start:stop] = one_hot(cells.texts[name], categories, len(cells))
            start = stop
        if self.angles:
            stop = start + 2 * len(self.angles)
            raw[:, start:stop] = as_circle(cells.angles).reshape(len(cells), -1)
            start = stop
        if self.logarithms:
            stop = start + len(self.logarithms)
            raw[:, start:stop] = logarithms(cells.numbers, self.logarithms)
            start = stop
        if self.entities:
            stop = start + len(self.entities)
            raw[:, start:stop] = entity_places(entities, self.entities)
            start = stop
        if self.mode is not None and cells.modes is not None:
            raw[:, start:] = self.mode.places(cells.modes.codes)
        mask = ~np.isnan(raw)
        raw -= self.means
        raw *= np.divide(1.0, self.spreads, out=np.zeros(len(self)), where=self.spreads > 0)
        np.clip(raw, -LARGEST_FEATURE, LARGEST_FEATURE, out=raw)
        raw[~mask] = 0.0
        return raw.astype(np.float32), mask

    @property
    def _logarithm_places(self) -> range:
        """The features that are logarithms: the last features before the context."""
        end = len(self) - self.context
        return range(end - len(self.logarithms), end)

    def without_logarithms(self) -> tuple["FeatureMap", Mask]:
        """Return this map without `logarithms`, and a mask (F,) of the features that are kept."""
        keep = np.ones(len(self), dtype=bool)
        keep[self._logarithm_places] = False
        kept = {name: getattr(self, name)[keep] for name in ARRAYS}
        reports = tuple(
            replace(report, reason=report.reason.removesuffix(JUDGED_WITH))
            for report in self.columns
        )
        return replace(self, columns=reports, logarithms=(), **kept), keep

    @property
    def steady(self) -> Mask:
        """Mask (F,) of the features of watched constants, on which no score depends."""
        steady = self.weights <= 0
        steady[len(self) - self.context :] = False
        return steady & bool(self.constants)

    def slack(self, cells: RecordCells) -> Floats:
        """Return the largest rounding error of each feature (F,), in spreads.

        The error is 0 unless a column's cells are noticeably coarser than in training.
        """
        slack = np.zeros(len(self), dtype=np.float32)
        if not self.decimals:
            return slack
        count = len(self.scaled)
        spreads = self.spreads[:count]
        halves = half_steps(cells.numbers, self.decimals[:count], spreads, self.units[:count])
        slack[:count] = np.divide(halves, spreads, out=np.zeros(count), where=spreads > 0)
        for place, one in zip(self._logarithm_places, self.logarithms, strict=True):
            slack[place] = one.most_slack(halves[one.place]) / self.spreads[place]
        return slack

    def missing(self, mask: Mask) -> Mask:
        """Return a mask (N, judged columns) of missing cells.

        The argument `mask` (N, F) is True for observed features.
        """
        firsts = [place.start if isinstance(place, slice) else place[0] for _, place in self.judged]
        return ~mask[:, firsts]

    def plausible(self, raw: Values) -> Values:
        """Return raw features (N, F) clipped to their ranges in training plus a small margin.

        The reconstruction of an extreme record may lie far outside of these ranges. But a report
        must not show a percentage of -4.7. If a feature had no negative value in training, the
        result has no negative value. If it had no positive value, the result has no positive value.
        """
        margin = RANGE_MARGIN * (self.highs - self.lows)
        least, most = self.lows - margin, self.highs + margin
        least = np.where(self.lows >= 0, np.maximum(least, 0), least)
        most = np.where(self.highs <= 0, np.minimum(most, 0), most)
        return np.clip(raw, least, most)

    def _increased(
        self, numbers: Values, frame: Frame, before: Counts | None
    ) -> tuple[Values, Counts]:
        """Return numbers (N, scaled) with increases in place of counters, and the new counts."""
        if not self.counters:
            return numbers, Counts()
        places = [self.scaled.index(counter.column) for counter in self.counters]
        found, after = increases(
            numbers[:, places], frame.entities, frame.times, self.counters, before
        )
        numbers = numbers.copy()
        numbers[:, places] = found
        return numbers, after

    @property
    def counted(self) -> tuple[str, ...]:
        """Names of the columns that are judged by their increase."""
        return tuple(counter.column for counter in self.counters)

    def _frozen(
        self, numbers: Values, entities: Texts, before: Repeats | None
    ) -> tuple[Lengths, Repeats]:
        """Return lengths (N, limits) of stretches above their limits, and the newest stretches.

        The shape of `numbers` is (N, scaled columns and angles).
        """
        if not self.limits or not len(numbers):
            return np.zeros((len(numbers), len(self.limits)), dtype=np.int64), before or Repeats()
        places = [self.numeric.index(name) for name, _ in self.limits]
        watched, limits = numbers[:, places], [most for _, most in self.limits]
        after = none_too_long(watched, entities, limits, before)
        if after is not None:
            return np.zeros(watched.shape, dtype=np.int64), after
        lengths, after = run_lengths(watched, entities, before)
        decimals = [self.decimals[place] for place in places]
        units = [self.units[place] for place in places] if self.units else []
        return find_frozen(watched, lengths, limits, decimals, units), after

    @property
    def repeated(self) -> tuple[str, ...]:
        """Columns with a limit on the number of records in a row that hold the same number."""
        return tuple(name for name, _ in self.limits)
