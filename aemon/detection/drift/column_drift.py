"""Drift of the columns: how far the values that come in have moved from those learned from.

Every judged column is cut into bins once, at training, and the records that come in are counted
into them, older ones weighing less and less. The population stability index of the two tables of
shares, sum (q - p) ln(q / p), is Kullback and Leibler's symmetric divergence (1951); it is common
to call more than 0.25 of it drift and less than 0.1 none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Rows, Values
from aemon.detection.features.cells import read_booleans, read_numbers, read_texts
from aemon.detection.features.columns import named_columns
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.readings import AS_IS, Reading
from aemon.frame import Frame

Counts = npt.NDArray[np.int64]
Sort = Literal["numeric", "boolean", "categorical"]

DRIFTED = 0.25
"""A column whose index is greater has drifted, unless it moved so far in training already."""

NUMERIC_BINS = 10

HALF_LIFE = 1000.0
"""Records after which one weighs half as much: all of them are then worth 2,885 at most."""

LEAST_RECORDS = 200
"""A column's index is not told before so many independent records were counted."""

LOOKS = 40
"""So often, through the training records, it is looked how far a column moves in normal life."""

BEYOND = 1.5
"""A column has drifted where its index is so many times what it was at most in training: of a few
stretches, the next one is the furthest now and then."""

PSEUDO = 0.5
"""Records in every bin that nobody saw: an empty one is no proof that none will come."""


@dataclass(frozen=True, kw_only=True)
class Bins:
    """How one column is cut, and how often each bin was met in training.

    Attributes:
        column: its name.
        sort: what its cells are read as.
        edges: between the bins of numbers, ascending; a number on an edge lies above it.
        categories: known texts, a bin each; then one for all others.
        counts: (B,) training records in each bin, the last one that of missing cells.
        usual: largest index of the newest records against all, at any time of the training.
        late: weights of the newest records in each bin when the training ended.
        reading: how its cells are read.
    """

    column: str
    sort: Sort
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    usual: float = 0.0
    late: tuple[float, ...] = ()
    reading: Reading = AS_IS

    def places(self, values: pd.DataFrame) -> Rows:
        """The bin of each of N records (N,); a column that is not there is missing."""
        if self.column not in values.columns:
            return np.full(len(values), self.size - 1, dtype=np.intp)
        cells = self.reading.prepare(values[self.column])
        if self.sort == "categorical":
            texts, codes = read_texts(cells)
            known = {text: place for place, text in enumerate(self.categories)}
            other = len(self.categories)
            bins = np.array([*(known.get(text, other) for text in texts), other + 1])
            return bins[codes].astype(np.intp)  # the last is that of code -1, a missing cell
        numbers = read_booleans(cells) if self.sort == "boolean" else read_numbers(cells)
        found = np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), self.size - 1, found).astype(np.intp)

    @property
    def size(self) -> int:
        """Bins, B: of values, then of all other texts, then of missing cells."""
        if self.sort == "categorical":
            return len(self.categories) + 2
        return len(self.edges) + 2

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        del found["reading"]
        return found | ({"reading": self.reading.as_json()} if self.reading else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Bins":
        """The inverse of `as_json`."""
        lists = {name: tuple(stored[name]) for name in ("edges", "categories", "counts", "late")}
        reading = Reading.from_json(stored["reading"]) if "reading" in stored else AS_IS
        return cls(**{**stored, **lists, "reading": reading})


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The bins of all judged columns. Made by `reference`.

    Attributes:
        bins: one a column.
        records: the counts are of so many.
    """

    bins: tuple[Bins, ...]
    records: int

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`: some twenty numbers a column."""
        return {"bins": [bins.as_json() for bins in self.bins], "records": self.records}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Reference":
        """The inverse of `as_json`."""
        bins = tuple(Bins.from_json(each) for each in stored["bins"])
        return cls(bins=bins, records=stored["records"])


@dataclass(frozen=True, kw_only=True)
class ColumnCounts:
    """How often each bin was met of late. Begun by `no_counts`.

    Attributes:
        half_life: records after which one weighs half as much.
        counts: weights of the records in each bin, by column.
        weight: of all records together.
        square: sum of their squared weights.
    """

    half_life: float
    counts: dict[str, tuple[float, ...]]
    weight: float = 0.0
    square: float = 0.0

    @property
    def records(self) -> float:
        """Records of equal weight that would tell as much: weight^2 / square (Kish 1965)."""
        return self.weight**2 / self.square if self.square else 0.0

    def after(self, found: Reference, frame: Frame) -> "ColumnCounts":
        """The counts after N more records, which are in the order of time."""
        n = len(frame)
        values = named_columns(frame.values)
        weights, fade = _fading(n, self.half_life)
        counts = {}
        for bins in found.bins:
            new = np.bincount(bins.places(values), weights, minlength=len(bins.counts))
            old = np.array(self.counts[bins.column])
            counts[bins.column] = tuple((fade * old + new).tolist())
        return ColumnCounts(
            half_life=self.half_life,
            counts=counts,
            weight=fade * self.weight + float(weights.sum()),
            square=fade**2 * self.square + float((weights**2).sum()),
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ColumnCounts":
        """The inverse of `as_json`."""
        counts = {column: tuple(found) for column, found in stored["counts"].items()}
        return cls(**{**stored, "counts": counts})


def reference(frame: Frame, feature_map: FeatureMap) -> Reference:
    """How the judged columns of the N records learned from, in the order of time, are spread."""
    values = named_columns(frame.values)
    categories = dict(feature_map.categorical)
    found = []
    for name, _ in feature_map.judged:
        if name in feature_map.counted:
            continue  # a total moves on for ever
        reading = feature_map.readings.get(name, AS_IS)
        if name in categories:
            bins = Bins(
                column=name, sort="categorical", categories=categories[name], reading=reading
            )
        elif name in feature_map.booleans:
            bins = Bins(column=name, sort="boolean", edges=(0.5,), reading=reading)
        else:
            edges = _quantiles(read_numbers(reading.prepare(values[name])))
            bins = Bins(column=name, sort="numeric", edges=edges, reading=reading)
        places = bins.places(values)
        counts = np.bincount(places, minlength=bins.size)
        usual, late = _through_training(places, counts, HALF_LIFE)
        found.append(
            replace(bins, counts=tuple(counts.tolist()), usual=usual, late=tuple(late.tolist()))
        )
    return Reference(bins=tuple(found), records=len(frame))


def _through_training(places: Rows, counts: Counts, half_life: float) -> tuple[float, Values]:
    """The largest index of the newest records as the training goes on, and their weights at its end.

    A column that follows the hours of the day moves as the newest records do: that is no drift.
    The records are gone through twice, for at first there are too few before them to be forgotten.
    """
    late, weight, square, most = np.zeros(len(counts)), 0.0, 0.0, 0.0
    for look, part in enumerate(2 * np.array_split(places, LOOKS)):
        weights, fade = _fading(len(part), half_life)
        late = fade * late + np.bincount(part, weights, minlength=len(counts))
        weight = fade * weight + float(weights.sum())
        square = fade**2 * square + float((weights**2).sum())
        worth = weight**2 / square if square else 0.0
        if look >= LOOKS and worth >= LEAST_RECORDS:
            most = max(most, _index(counts, late, len(places), worth))
    return most, late


def _fading(n: int, half_life: float) -> tuple[Values, float]:
    """Weights (n,) of records in the order of time, and what becomes of that of earlier ones."""
    return 0.5 ** (np.arange(n - 1, -1, -1) / half_life), 0.5 ** (n / half_life)


def first_counts(found: Reference) -> ColumnCounts:
    """The newest records of the training, as those to come are counted."""
    weights, _ = _fading(2 * found.records, HALF_LIFE)
    return ColumnCounts(
        half_life=HALF_LIFE,
        counts={bins.column: bins.late for bins in found.bins},
        weight=float(weights.sum()),
        square=float((weights**2).sum()),
    )


def no_counts(found: Reference, half_life: float = HALF_LIFE) -> ColumnCounts:
    """Nothing counted yet."""
    return ColumnCounts(
        half_life=half_life,
        counts={bins.column: (0.0,) * len(bins.counts) for bins in found.bins},
    )


def psi(found: Reference, counts: ColumnCounts, independent: float = 1.0) -> dict[str, float]:
    """The population stability index of each column, chance taken off; empty with few records.

    n records and m others that nothing sets apart have an index of (B - 1) (1/n + 1/m) on
    average, B being the bins that either met (it is then chi-squared with B - 1 degrees of
    freedom, times the bracket; Yurdakul & Naranjo 2020). That much is taken off, and never more
    than there is.

    Args:
        found: the reference.
        counts: of late.
        independent: records one is worth, at most 1: `independent / records` of a threshold.
    """
    n, m = found.records * independent, counts.records * independent
    if m < LEAST_RECORDS:
        return {}
    return {bins.column: _index(np.array(bins.counts), np.array(counts.counts[bins.column]), n, m)
            for bins in found.bins}  # fmt: skip


def drifted_columns(found: Reference, indices: Mapping[str, float]) -> tuple[str, ...]:
    """The columns that have drifted, the furthest first.

    Their index is over `DRIFTED`, and far over what it was within the training records: a
    column that goes its own way from day to day has not drifted because it does so today.
    """
    usual = {bins.column: bins.usual for bins in found.bins}
    over = [name for name, index in indices.items() if index > max(DRIFTED, BEYOND * usual[name])]
    return tuple(sorted(over, key=lambda name: -indices[name]))


def _index(learned: Values | Counts, late: Values | Counts, n: float, m: float) -> float:
    """The index of B counts against B others, worth n and m records, chance taken off."""
    if not n or not m:
        return 0.0
    met = (learned > 0) | (late > 0)
    if met.sum() < 2:  # noqa: PLR2004 -- one bin has no shares
        return 0.0
    p, q = (_shares(counts[met], size) for counts, size in ((learned, n), (late, m)))
    index = float(((q - p) * np.log(q / p)).sum())
    return max(0.0, index - (int(met.sum()) - 1) * (1 / n + 1 / m))


def _shares(counts: Values | Counts, size: float) -> Values:
    """Shares of B bins that hold `size` independent records, each with `PSEUDO` more."""
    held = counts / counts.sum() * size + PSEUDO
    shares: Values = held / held.sum()
    return shares


def _quantiles(numbers: Values) -> tuple[float, ...]:
    """Edges of bins that hold equally many numbers, fewer where numbers are often the same."""
    there = numbers[~np.isnan(numbers)]
    if not len(there):
        return ()
    inner = np.linspace(0, 1, NUMERIC_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(there, inner, method="higher"))
    edges = edges[edges > there.min()]
    if not len(edges) and there.max() > there.min():
        edges = there[there > there.min()].min(keepdims=True)  # nearly always one and the same
    return tuple(edges.tolist())
