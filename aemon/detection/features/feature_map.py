"""The feature map: it makes a frame's columns into the numbers that an autoencoder reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Values
from aemon.detection.features.angles import as_circle
from aemon.detection.features.cells import Categories, RecordCells
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
"""In spreads. Squared, whitened and summed over thousands of features, it does not overflow
float32."""

ARRAYS = ("means", "spreads", "weights", "floors", "lows", "highs")
"""The attributes of a map that hold a number for each feature."""

RANGE_MARGIN = 0.1
"""Share of the range seen in training by which an expected value may lie outside of that range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMap:
    """The fitted preparation from columns to features. Made by `fit_features`, never by hand.

    The F features have this order:

    - one for each column of `scaled`;
    - for each column of `categorical`, one per category and one for texts not seen in training;
    - sine and cosine of each column of `angles`;
    - one for each of `logarithms`, then of `entities`, then of the modes.

    Attributes:
        columns: the kind of each column and the reason, in the frame's order.
        scaled: numeric and boolean columns.
        booleans: the columns of `scaled` that are boolean.
        categorical: column and its categories, the most frequent first.
        entities: known entities, the context; empty if there are fewer than two.
        means: (F,) of the raw features.
        spreads: (F,) of the raw features; 0 marks a feature that was constant and stays 0.
        weights: (F,) a feature's weight in errors; 0 for constants and context.
        floors: (F,) the least residual believed to be normal, in spreads.
        lows: (F,) the least raw value seen in training.
        highs: (F,) the largest raw value seen in training.
        width: independent features that vary and are judged: a code must be narrower.
        angles: columns of degrees, and the degrees at which their turn begins.
        readings: column -> how its cells are read; without columns that are read as they are.
        constants: watched columns that never moved in training.
        limits: watched columns, and how many records in a row may hold the same number.
        decimals: (scaled, angles) number of decimals in training, -1 for numbers without an end;
            empty if not stored, and without angles in older detectors.
        units: (scaled, angles) step in units of the last decimal; empty as `decimals`.
        ranges: configured ranges of numbers, and what a column never had in training.
        mode: the column of modes, which is context, too; None without one.
        counters: the columns of `scaled` that are judged by their increase.
        logarithms: the columns of `scaled` with a logarithm that is judged, too.
        pairs: categories and booleans that never came together in training, if configured.
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
        """Number of context features, which are the last ones: a record's entity and mode."""
        return len(self.entities) + (len(self.mode) if self.mode is not None else 0)

    @property
    def numeric(self) -> list[str]:
        """Columns that are read as numbers: `scaled`, then `angles`."""
        return [*self.scaled, *(name for name, _ in self.angles)]

    @property
    def judged(self) -> tuple[tuple[str, slice | Rows], ...]:
        """Columns with a weight above 0, each with its places among the features."""
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
        """Output layer that turns an autoencoder's last numbers into these features."""
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
        """Return features X (N, F), 0 where missing, and which of them were observed (N, F).

        Raises:
            FrameError: as `read`.
        """
        return self.features(self.read(frame), frame.entities)

    def read(
        self, frame: Frame, before: Repeats | None = None, counts: Counts | None = None
    ) -> RecordCells:
        """Read the learned columns of N records that were fetched together, each once.

        A cell that cannot be read is missing; mostly unreadable columns are named in the result.

        Args:
            frame: the records, in the order of time.
            before: numbers that the records before these repeated.
            counts: the last numbers of the counters.

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
            new_pairs=self._never_together(numbers, texts),
            repeats=repeats,
            counts=after,
            numbers=numbers,
            texts=texts,
            angles=angles,
            moved=moved_of(self.constants, self.scaled, numbers, texts),
            unreadable=unreadable,
        )

    def features(self, cells: RecordCells, entities: Texts) -> tuple[Floats, Mask]:
        """Return features X (N, F) of cells that were read, and which were observed (N, F).

        Args:
            cells: of N records.
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

    def without_logarithms(self) -> tuple["FeatureMap", Mask]:
        """Return this map without `logarithms`, and which of the features (F,) it keeps."""
        keep = np.ones(len(self), dtype=bool)
        start = len(self) - self.context - len(self.logarithms)
        keep[start : start + len(self.logarithms)] = False
        kept = {name: getattr(self, name)[keep] for name in ARRAYS}
        reports = tuple(
            replace(report, reason=report.reason.removesuffix(JUDGED_WITH))
            for report in self.columns
        )
        return replace(self, columns=reports, logarithms=(), **kept), keep

    @property
    def steady(self) -> Mask:
        """Features (F,) of watched constants; no score depends on them."""
        steady = self.weights <= 0
        steady[len(self) - self.context :] = False
        return steady & bool(self.constants)

    def slack(self, cells: RecordCells) -> Floats:
        """Return how far each feature (F,) may be off because its cells are rounded, in spreads.

        Above 0 only for columns with noticeably coarser cells than in training: nearly always 0.
        """
        slack = np.zeros(len(self), dtype=np.float32)
        count = len(self.scaled) if self.decimals else 0
        spreads = self.spreads[:count]
        halves = half_steps(cells.numbers, self.decimals[:count], spreads, self.units[:count])
        slack[:count] = np.divide(halves, spreads, out=np.zeros(count), where=spreads > 0)
        start = len(self) - self.context - len(self.logarithms)
        for place, one in enumerate(self.logarithms if count else (), start):
            slack[place] = one.most_slack(halves[one.place]) / self.spreads[place]
        return slack

    def missing(self, mask: Mask) -> Mask:
        """Return which judged columns are missing (N, judged columns), from `mask` (N, F).

        The mask is True for observed features.
        """
        firsts = [place.start if isinstance(place, slice) else place[0] for _, place in self.judged]
        return ~mask[:, firsts]

    def plausible(self, raw: Values) -> Values:
        """Return raw features (N, F) clipped to the range seen in training, widened a little.

        The reconstruction of an extreme record may lie far outside of that range. A report must
        not show a percentage of -4.7. If training had no negative value, the result has none, and
        likewise for positive values.
        """
        margin = RANGE_MARGIN * (self.highs - self.lows)
        least, most = self.lows - margin, self.highs + margin
        least = np.where(self.lows >= 0, np.maximum(least, 0), least)
        most = np.where(self.highs <= 0, np.minimum(most, 0), most)
        return np.clip(raw, least, most)

    def _increased(
        self, numbers: Values, frame: Frame, before: Counts | None
    ) -> tuple[Values, Counts]:
        """Return numbers (N, scaled) with increases in place of counters, and the last counts."""
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
        """Columns that are judged by their increase."""
        return tuple(counter.column for counter in self.counters)

    def _never_together(self, numbers: Values, texts: Mapping[str, Categories]) -> Mask:
        """Return which of the `pairs` each record has (N, pairs)."""
        truths = {name: numbers[:, self.scaled.index(name)] for name in self.booleans}
        return never_together(self.pairs, texts, truths if self.pairs else {}, len(numbers))

    def _frozen(
        self, numbers: Values, entities: Texts, before: Repeats | None
    ) -> tuple[Lengths, Repeats]:
        """Return repetitions above the `limits` (N, limits), and the state for the next records.

        `numbers` is (N, scaled and angles).
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
        """Columns with a limit on how often in a row they may hold one number."""
        return tuple(name for name, _ in self.limits)
