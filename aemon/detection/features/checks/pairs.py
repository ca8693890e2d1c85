"""Pairs of common categories, of two columns, that never came together in a training record."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from aemon.detection.arrays import Mask, Rows, Values
from aemon.detection.features.cells import Categories
from aemon.detection.features.columns import shortened

LEAST_EXPECTED = 10.0
"""A pair is watched only if at least this number of training records would have the pair by chance.
If 10 records are expected, the probability of no record is 0.00005."""

MOST_COLUMNS = 60
"""Largest number of columns with watched pairs. The number of pairs grows with the square of the
number of columns."""

TRUTHS = ("false", "true")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two columns of categories or booleans, and the pairs of values that never came together.

    Attributes:
        column: name of the second column, whose cell is blamed.
        other: name of the first column.
        never: for each pair of values that never came together: the value in `other`, the value in
            `column`, and the number of records that would have both values by chance.
        records: number of training records in which neither column is missing.
    """

    column: str
    other: str
    never: tuple[tuple[str, str, float], ...]
    records: int

    def together(self, others: Categories, own: Categories, records: int) -> Mask:
        """Return a mask (N,) of the records with two values that never came together in training.

        The cells of the columns `other` and `column` are `others` and `own`; N is `records`.
        """
        found = np.zeros(records, dtype=bool)
        if others is None or own is None:
            return found
        first, second = (
            {text: place for place, text in enumerate(texts)} for texts, _ in (others, own)
        )
        for text, beside, _ in self.never:
            if text in first and beside in second:
                found |= (others[1] == first[text]) & (own[1] == second[beside])
        return found

    def reason(self, observed: Mapping[str, Any]) -> str:
        """Return the reason for flagging a record with a pair that never came together.

        >>> pair = Pair(column="mode", other="state", never=(("off", "fast", 41.7),), records=900)
        >>> pair.reason({"state": "off", "mode": "fast"})
        "mode 'fast' with state 'off', as in none of 900 training records (42 expected by chance)"
        """
        both = _text(observed[self.other]), _text(observed[self.column])
        chance = next(expected for *texts, expected in self.never if tuple(texts) == both)
        shown = [shortened(repr(text)) if text not in TRUTHS else text for text in both]
        return (
            f"{shortened(self.column)} {shown[1]} with {shortened(self.other)} {shown[0]}, "
            f"as in none of {self.records:,} training records ({chance:.0f} expected by chance)"
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Pair":
        """Return the pair that `asdict` wrote."""
        never = tuple((text, beside, expected) for text, beside, expected in stored["never"])
        return cls(**{**stored, "never": never})


def pairs_of(columns: Mapping[str, Categories]) -> tuple[Pair, ...]:
    """Return the pairs of frequent values that never came together in training.

    Args:
        columns: column -> its cells in N training records, for categories and booleans.
    """
    found = []
    for other, column in combinations(list(columns)[:MOST_COLUMNS], 2):
        others, own = columns[other], columns[column]
        if others is None or own is None:
            continue
        (texts, first), (beside, second) = others, own
        both = (first >= 0) & (second >= 0)
        records = int(both.sum())
        if not records:
            continue
        counts = np.zeros((len(texts), len(beside)))
        np.add.at(counts, (first[both], second[both]), 1)
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / records
        never = tuple(
            (texts[row], beside[place], round(float(expected[row, place]), 1))
            for row, place in np.argwhere((counts == 0) & (expected >= LEAST_EXPECTED)).tolist()
        )
        if never:
            found.append(Pair(column=column, other=other, never=never, records=records))
    return tuple(found)


def never_together(
    pairs: Sequence[Pair],
    texts: Mapping[str, Categories],
    scaled: Sequence[str],
    booleans: Collection[str],
    numbers: Values,
) -> Mask:
    """Return a mask (N, pairs): True where a record has values that never came together.

    Args:
        pairs: the pairs from the training.
        texts: categorical column -> its cells.
        scaled: names of the columns of numbers.
        booleans: the boolean columns among `scaled`.
        numbers: (N, scaled) cells, NaN where missing.
    """
    records = len(numbers)
    columns = categories_of(texts, scaled, booleans, numbers) if pairs else {}
    found = np.zeros((records, len(pairs)), dtype=bool)
    for place, pair in enumerate(pairs):
        found[:, place] = pair.together(columns.get(pair.other), columns.get(pair.column), records)
    return found


def categories_of(
    texts: Mapping[str, Categories],
    scaled: Sequence[str],
    booleans: Collection[str],
    numbers: Values,
) -> dict[str, Categories]:
    """Return column -> its cells in N records, for categories and booleans.

    Args:
        texts: categorical column -> its cells.
        scaled: names of the columns of numbers.
        booleans: the boolean columns among `scaled`.
        numbers: (N, scaled) cells, NaN where missing.
    """
    truths = {name: as_texts(numbers[:, scaled.index(name)]) for name in booleans}
    return {**texts, **truths}


def as_texts(truths: Values) -> Categories:
    """Return booleans (N,), which are 0 or 1, as categories; any other number counts as missing."""
    codes: Rows = np.where(truths == 1, 1, np.where(truths == 0, 0, -1)).astype(np.intp)
    return list(TRUTHS), codes


def _text(cell: object) -> str:
    return TRUTHS[bool(cell)] if isinstance(cell, bool) else str(cell)
