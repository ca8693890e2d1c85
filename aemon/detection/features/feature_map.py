"""The feature map: from a frame's columns to the numbers an autoencoder reads, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Values
from aemon.detection.features.cells import (
    RecordCells,
    are_opaque,
    example_of,
    finite,
    is_absent,
    read_booleans,
    read_cells,
    read_numbers,
    read_texts,
)
from aemon.detection.features.columns import ColumnReport, named_columns
from aemon.detection.features.outputs import Outputs
from aemon.errors import FrameError
from aemon.frame import Frame

LARGEST_FEATURE = 1e4
"""In spreads. Squared, whitened and summed over thousands of features it stays in float32."""

UNREADABLE_SHARE, LEAST_UNREADABLE = 0.5, 20
"""More unreadable cells than this share of those present, and at least so many, and the column
has changed its type; fewer are a glitch, and missing cells."""

RANGE_MARGIN = 0.1
"""Of the range seen in training: what is expected of a column lies no further outside."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMap:
    """How columns become features. Made by `fit_features`, never by hand.

    The F features lie in this order: one for each of `scaled`, then for each of `categorical`
    one place per category and one for whatever was never seen, then one for each of `entities`.

    Attributes:
        columns: what each column was taken for, in the frame's order.
        scaled: numeric and boolean columns.
        booleans: which of `scaled` are boolean.
        categorical: column and its categories, the commonest first.
        entities: known entities, the context; empty when there are fewer than two.
        means: (F,) of the raw features.
        spreads: (F,) of the raw features; 0 marks a feature that was constant and stays 0.
        weights: (F,) a feature's weight in errors; 0 for constants and context.
        floors: (F,) the least residual believed to be normal, in spreads.
        lows: (F,) the least raw value seen in training.
        highs: (F,) the largest raw value seen in training.
        width: independent features that vary and are judged: a code must be narrower.
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

    def __len__(self) -> int:
        return len(self.means)

    @property
    def judged(self) -> tuple[tuple[str, slice], ...]:
        """The columns that carry weight, each with its place among the features."""
        places = [(name, slice(i, i + 1)) for i, name in enumerate(self.scaled)]
        start = len(self.scaled)
        for name, categories in self.categorical:
            places.append((name, slice(start, start + len(categories) + 1)))
            start += len(categories) + 1
        return tuple((name, place) for name, place in places if self.weights[place].any())

    @property
    def outputs(self) -> Outputs:
        """How an autoencoder's last layer becomes these features."""
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
        """Features X (N, F), 0 where missing, and which of them were observed (N, F).

        A cell that cannot be read is missing; whether too many are is for `check` to say, which
        sees all the records that were fetched together.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        return self.features(self.read(frame), frame.entities)

    def read(self, frame: Frame) -> RecordCells:
        """Read the learned columns of N records.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        values = named_columns(frame.values)
        self._check_there(values)
        return RecordCells(
            numbers=self.numbers(values),
            texts={
                name: read_texts(values[name]) if name in values.columns else None
                for name, _ in self.categorical
            },
        )

    def features(self, cells: RecordCells, entities: Texts) -> tuple[Floats, Mask]:
        """Make features X (N, F) of cells that were read, and which were observed (N, F).

        Args:
            cells: of N records.
            entities: (N,) what each record belongs to.
        """
        raw = np.zeros((len(cells), len(self)))
        count = len(self.scaled)
        raw[:, :count] = cells.numbers
        start = count
        for name, categories in self.categorical:
            stop = start + len(categories) + 1
            raw[:, start:stop] = _one_hot(cells.texts[name], categories, len(cells))
            start = stop
        if self.entities:
            raw[:, start:] = _entity_places(entities, self.entities)
        mask = ~np.isnan(raw)
        raw -= self.means
        raw *= np.divide(1.0, self.spreads, out=np.zeros(len(self)), where=self.spreads > 0)
        np.clip(raw, -LARGEST_FEATURE, LARGEST_FEATURE, out=raw)
        raw[~mask] = 0.0
        return raw.astype(np.float32), mask

    def check(self, frame: Frame) -> None:
        """Hold records that were fetched together against what was learned.

        Raises:
            FrameError: a column that was learned from is missing or has changed its type.
        """
        values = named_columns(frame.values)
        self._check_there(values)
        texts = {name for name, _ in self.categorical}
        for name, _ in self.judged:
            column = values[name]
            if _is_numpy_number(column):
                continue  # infinities are missing cells, not another type
            if name in texts:
                unreadable = are_opaque(column)
                if unreadable.any():
                    _refuse_type(column, ~is_absent(column), unreadable, "text")
            else:
                cells = read_cells(column, truths=name in self.booleans)
                _refuse_type(column, cells.present, cells.unreadable, "numbers")

    def missing(self, mask: Mask) -> Mask:
        """Which judged columns are missing (N, judged columns), of observed features (N, F)."""
        firsts = [place.start for _, place in self.judged]
        return ~mask[:, firsts]

    def plausible(self, raw: Values) -> Values:
        """Raw features (N, F) held within the range seen in training, a little widened.

        A reconstruction of a record far out may leave it by far; people are told no percentage
        of -4.7. Where training saw no negative value, or no positive one, neither is told.
        """
        margin = RANGE_MARGIN * (self.highs - self.lows)
        least, most = self.lows - margin, self.highs + margin
        least = np.where(self.lows >= 0, np.maximum(least, 0), least)
        most = np.where(self.highs <= 0, np.minimum(most, 0), most)
        return np.clip(raw, least, most)

    def _check_there(self, values: pd.DataFrame) -> None:
        for name, _ in self.judged:
            if name not in values.columns:
                raise FrameError(
                    f"column {name!r}, which this detector learned from, is missing; "
                    f"there are: {', '.join(values.columns) or 'none'}",
                    todo="restore the column, or train again with `aemon train`",
                )

    def numbers(self, values: pd.DataFrame) -> Values:
        """The scaled columns as (N, K), NaN where missing; constants that vanished are missing."""
        if all(name in values.columns and _is_numpy_number(values[name]) for name in self.scaled):
            # the common case, in one conversion
            return finite(values[list(self.scaled)].to_numpy(dtype=np.float64, copy=True))
        numbers = np.full((len(values), len(self.scaled)), np.nan)
        for place, name in enumerate(self.scaled):
            if name in values.columns:
                read = read_booleans if name in self.booleans else read_numbers
                numbers[:, place] = read(values[name])
        return numbers


def _is_numpy_number(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _refuse_type(column: "pd.Series[Any]", present: Mask, unreadable: Mask, learned: str) -> None:
    count = int(unreadable.sum())
    if count < LEAST_UNREADABLE or count <= UNREADABLE_SHARE * present.sum():
        return
    raise FrameError(
        f"column {str(column.name)!r}, learned as {learned}, now holds "
        f"{example_of(column, unreadable)} and {count} of {int(present.sum())} values cannot "
        f"be read as {learned}",
        todo="restore the column, or train again with `aemon train`",
    )


def _one_hot(
    read: tuple[list[str], Rows] | None, categories: tuple[str, ...], records: int
) -> Values:
    """One place per category and a last one for any other text (N, K + 1); NaN where missing."""
    places = np.full((records, len(categories) + 1), np.nan)
    if read is None:
        return places
    texts, codes = read
    place_of = {category: place for place, category in enumerate(categories)}
    known = np.array([place_of.get(text, len(categories)) for text in texts] + [0])
    rows = np.flatnonzero(codes >= 0)
    places[rows] = 0.0
    places[rows, known[codes[rows]]] = 1.0
    return places


def _entity_places(entities: Texts, known: tuple[str, ...]) -> Values:
    """One place per known entity (N, E); NaN throughout for any other."""
    places = _one_hot(read_texts(pd.Series(entities, dtype=object)), known, len(entities))
    places[places[:, -1] == 1] = np.nan
    return places[:, :-1]
