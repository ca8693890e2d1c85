"""Drift of columns: comparison of the values of new records with the values in training.

At training, the values of every judged column are divided into bins. New records are counted in
these bins; the weight of a record falls with its age. Let p be the shares of the bins in training,
and q the shares for new records. The population stability index is sum (q - p) ln(q / p), the
symmetric divergence of Kullback and Leibler (1951). By common practice, an index above 0.25 is
called drift, and an index below 0.1 is called no drift.
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
"""A column with a larger index has drifted, unless it already had a similar index in training."""

NUMERIC_BINS = 10

HALF_LIFE = 1000.0
"""Number of newer records after which a record has half of its weight. The effective number of all
records is then at most 2,885."""

LEAST_RECORDS = 200
"""Least effective number of independent records from which a column's index is computed."""

LOOKS = 40
"""Number of points in the training records at which the index of each column is measured."""

BEYOND = 1.5
"""A column has drifted only if its index is above BEYOND times its largest index in training. With
few periods in training, a later period sometimes has a larger index by chance."""

PSEUDO = 0.5
"""Number of records that are added to every bin, because later records may be in a bin that is
empty now."""


@dataclass(frozen=True, kw_only=True)
class Bins:
    """The bins of one column, with the number of training records in each.

    Attributes:
        column: name of the column.
        sort: whether the column's cells are numeric, boolean or categorical.
        edges: edges between the bins of numbers, ascending; a number equal to an edge belongs to
            the bin above the edge.
        categories: known texts, with a bin for each text; a further bin is for all other texts.
        counts: (B,) number of training records in each bin; the last bin is for missing cells.
        usual: largest index within the training. At each of `LOOKS` points, the recent records are
            compared with all training records.
        late: (B,) sum of the records' weights in each bin at the end of training; newer records
            have larger weights.
        reading: how the column's cells are read.
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
        """Return the index of each record's bin (N,).

        If the column is absent, all its cells are treated as missing.
        """
        if self.column not in values.columns:
            return np.full(len(values), self.size - 1, dtype=np.intp)
        cells = self.reading.prepare(values[self.column])
        if self.sort == "categorical":
            texts, codes = read_texts(cells)
            known = {text: place for place, text in enumerate(self.categories)}
            other = len(self.categories)
            bins = np.array([*(known.get(text, other) for text in texts), other + 1])
            return bins[codes].astype(np.intp)  # the last bin is for code -1, a missing cell
        numbers = read_booleans(cells) if self.sort == "boolean" else read_numbers(cells)
        found = np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), self.size - 1, found).astype(np.intp)

    @property
    def size(self) -> int:
        """Number of bins, B.

        The bins are for ranges of numbers, or for each known text and for all other texts. The last
        bin is for missing cells.
        """
        if self.sort == "categorical":
            return len(self.categories) + 2
        return len(self.edges) + 2

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        del found["reading"]
        return found | ({"reading": self.reading.as_json()} if self.reading else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Bins":
        """Return the bins that `as_json` wrote."""
        lists = {name: tuple(stored[name]) for name in ("edges", "categories", "counts", "late")}
        reading = Reading.from_json(stored["reading"]) if "reading" in stored else AS_IS
        return cls(**{**stored, **lists, "reading": reading})


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The bins of all judged columns. The function `reference` makes them.

    Attributes:
        bins: the bins of each column.
        records: number of training records in the counts.
    """

    bins: tuple[Bins, ...]
    records: int

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`: some twenty numbers per column."""
        return {"bins": [bins.as_json() for bins in self.bins], "records": self.records}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Reference":
        """Return the reference that `as_json` wrote."""
        bins = tuple(Bins.from_json(each) for each in stored["bins"])
        return cls(bins=bins, records=stored["records"])


@dataclass(frozen=True, kw_only=True)
class ColumnCounts:
    """Weighted counts of recent records in each bin.

    `first_counts` and `no_counts` return initial counts.

    Attributes:
        half_life: number of newer records after which a record has half of its weight.
        counts: column -> (B,) sum of the weights of the records in each bin.
        weight: sum of the weights of all records.
        square: sum of the squared weights of all records.
    """

    half_life: float
    counts: dict[str, tuple[float, ...]]
    weight: float = 0.0
    square: float = 0.0

    @property
    def records(self) -> float:
        """Effective number of records of equal weight: weight^2 / square (Kish 1965)."""
        return self.weight**2 / self.square if self.square else 0.0

    def after(self, found: Reference, frame: Frame) -> "ColumnCounts":
        """Return the counts after N more records, which are in the order of time, are added."""
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
        """Return all attributes, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ColumnCounts":
        """Return the counts that `as_json` wrote."""
        counts = {column: tuple(found) for column, found in stored["counts"].items()}
        return cls(**{**stored, "counts": counts})


def reference(frame: Frame, feature_map: FeatureMap) -> Reference:
    """Make the bins of the judged columns from N training records in the order of time."""
    values = named_columns(frame.values)
    categories = dict(feature_map.categorical)
    found = []
    for name, _ in feature_map.judged:
        if name in feature_map.counted:
            continue  # the values of a counter always change, without drift
        if name not in values:
            continue  # a derived column
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
    """Return the largest index of a column within the training, and the weights (B,) at its end.

    At each of `LOOKS` points of the training records, the weighted records up to this point are
    compared with all records. A column that follows the hours of the day has large indices at some
    points, although it does not drift. The records are read twice, because at the first points
    there are too few earlier records.
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
    """Return weights (n,) of n new records in the order of time, and the factor for old weights."""
    return 0.5 ** (np.arange(n - 1, -1, -1) / half_life), 0.5 ** (n / half_life)


def first_counts(found: Reference) -> ColumnCounts:
    """Return the counts at the end of training; new records are added to these counts."""
    weights, _ = _fading(2 * found.records, HALF_LIFE)
    return ColumnCounts(
        half_life=HALF_LIFE,
        counts={bins.column: bins.late for bins in found.bins},
        weight=float(weights.sum()),
        square=float((weights**2).sum()),
    )


def no_counts(found: Reference, half_life: float = HALF_LIFE) -> ColumnCounts:
    """Return counts of 0 in all bins."""
    return ColumnCounts(
        half_life=half_life,
        counts={bins.column: (0.0,) * len(bins.counts) for bins in found.bins},
    )


def psi(found: Reference, counts: ColumnCounts, independent: float = 1.0) -> dict[str, float]:
    """Return the population stability index of each column, minus its average by chance.

    Two samples of n and m records from the same distribution have an index of (B - 1) (1/n + 1/m)
    on average. B is the number of bins with a record of at least one sample. (The index is then
    (1/n + 1/m) times a chi-squared variable with B - 1 degrees of freedom; Yurdakul & Naranjo
    2020.) This average is subtracted, and the result is at least 0.

    Args:
        found: the reference.
        counts: counts of recent records.
        independent: number of independent records per record, at most 1. For a `Threshold`, this is
            `independent / records`.

    Returns:
        Column -> index; empty if fewer than `LEAST_RECORDS` independent records were counted.
    """
    n, m = found.records * independent, counts.records * independent
    if m < LEAST_RECORDS:
        return {}
    return {bins.column: _index(np.array(bins.counts), np.array(counts.counts[bins.column]), n, m)
            for bins in found.bins}  # fmt: skip


def drifted_columns(found: Reference, indices: Mapping[str, float]) -> tuple[str, ...]:
    """Return the columns that have drifted, the column with the largest index first.

    The index of a drifted column is above `DRIFTED`, and above `BEYOND` times its largest index
    within the training. If a column's values change from day to day in training, another such
    change is not drift.
    """
    usual = {bins.column: bins.usual for bins in found.bins}
    over = [name for name, index in indices.items() if index > max(DRIFTED, BEYOND * usual[name])]
    return tuple(sorted(over, key=lambda name: -indices[name]))


def _index(learned: Values | Counts, late: Values | Counts, n: float, m: float) -> float:
    """Return the population stability index of two counts (B,), minus its average by chance.

    The effective numbers of records in `learned` and `late` are n and m.
    """
    if not n or not m:
        return 0.0
    met = (learned > 0) | (late > 0)
    if met.sum() < 2:  # noqa: PLR2004 -- the only bin always has all records
        return 0.0
    p, q = (_shares(counts[met], size) for counts, size in ((learned, n), (late, m)))
    index = float(((q - p) * np.log(q / p)).sum())
    return max(0.0, index - (int(met.sum()) - 1) * (1 / n + 1 / m))


def _shares(counts: Values | Counts, size: float) -> Values:
    """Return each bin's share (B,) of `size` records, after `PSEUDO` is added to each bin."""
    held = counts / counts.sum() * size + PSEUDO
    shares: Values = held / held.sum()
    return shares


def _quantiles(numbers: Values) -> tuple[float, ...]:
    """Return edges of bins that have about equal numbers of cells.

    If a number is frequent, there are fewer edges.
    """
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return ()
    inner = np.linspace(0, 1, NUMERIC_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(present, inner, method="higher"))
    edges = edges[edges > present.min()]
    if not len(edges) and present.max() > present.min():
        edges = present[present > present.min()].min(keepdims=True)  # nearly all are equal
    return tuple(edges.tolist())
