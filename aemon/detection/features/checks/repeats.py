"""Finds stretches of equal numbers in consecutive records; a frozen sensor sends long stretches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.resolution import are_fine

Lengths = npt.NDArray[np.int64]

LEAST_RECORDS = 100
"""A column with fewer training records is not watched, because the records do not show for how long
the column usually repeats one number."""

STANDING_SHARE = 0.02
"""A column with a stretch longer than this share of the training records is not watched, because
this column repeats one number for long times in normal operation."""

STANDING = 3
"""A stretch of at most this length may occur by chance, in any number of records."""

TIMES, BEYOND = 2, 3
"""A column is frozen if a stretch is longer than TIMES x its longest stretch in training + BEYOND
records. Let p be the probability that a record repeats the number of the last record. Then the
longest stretch in N records has about the length L for which N p^L = 1. A stretch twice as long
occurs once in N^2 records."""

RARE_SHARE = 0.1
"""A column is a held column if more than this share of its records repeats a number, or if its
longest stretch is too long for chance. Sometimes a held column keeps one number for a time that
cannot be predicted."""

HELD_TIMES = 10
"""A held column is frozen if a stretch is longer than HELD_TIMES times its longest stretch in
training. (In the held columns of SMD and ASD, up to 4 % of normal records were in stretches longer
than twice the longest stretch.)"""

MOST_ENTITIES = 1_000
"""Largest number of entities whose newest stretches are kept."""

MOST_NOTED = 1_000
"""Largest number of stretches that are stored for a restart: the longest stretches of all entities
and columns."""


class Stretch(NamedTuple):
    """The newest stretch of each column: the repeated number, and the length of the stretch."""

    numbers: Values  # (K,)
    lengths: Lengths  # (K,)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The newest stretches of all entities, which later records continue; empty by default."""

    by_entity: Mapping[str, Stretch] = field(default_factory=dict)

    def as_json(self, columns: Sequence[str]) -> dict[str, dict[str, tuple[float, int]]]:
        """Return the longest stretches: entity -> column -> repeated number, and length.

        Args:
            columns: (K,) names of the columns.
        """
        long = [
            (int(stretch.lengths[place]), entity, columns[place], float(stretch.numbers[place]))
            for entity, stretch in self.by_entity.items()
            for place in np.flatnonzero(stretch.lengths > STANDING).tolist()
        ]
        found: dict[str, dict[str, tuple[float, int]]] = {}
        for length, entity, column, number in sorted(long, reverse=True)[:MOST_NOTED]:
            found.setdefault(entity, {})[column] = (number, length)
        return found

    @classmethod
    def from_json(cls, noted: Any, columns: Sequence[str]) -> "Repeats":
        """Return the stretches that `as_json` wrote; empty if `noted` cannot be read.

        Args:
            noted: the stored value.
            columns: (K,) names of the columns to return.
        """
        found = {}
        try:
            for entity, stretches in (noted or {}).items():
                pairs = [stretches.get(name, (np.nan, 0)) for name in columns]
                numbers = np.array([number for number, _ in pairs], dtype=np.float64)
                lengths = np.array([length for _, length in pairs], dtype=np.int64)
                found[str(entity)] = Stretch(numbers, lengths)
        except (AttributeError, OverflowError, TypeError, ValueError):
            return cls()
        return cls(by_entity=found)


def run_lengths(
    numbers: Values, entities: Texts, before: Repeats | None = None
) -> tuple[Lengths, Repeats]:
    """Return the length of the stretch up to each cell (N, K), and the newest stretches.

    A missing cell has a length of 0 and does not end a stretch.

    Args:
        numbers: (N, K) numbers in the order of time, NaN where missing.
        entities: (N,) the entity of each record; each entity has its own stretches.
        before: the newest stretches of the earlier records.
    """
    codes, names = pd.factorize(entities)
    known = dict(before.by_entity) if before is not None else {}
    earlier = [(code, known.pop(name)) for code, name in enumerate(names) if name in known]
    if earlier:
        codes = np.concatenate([np.array([code for code, _ in earlier]), codes])
        numbers = np.concatenate([np.stack([last.numbers for _, last in earlier]), numbers])
    order = np.argsort(codes, kind="stable")  # the records of an entity together, in their order
    sorted_codes, cells = codes[order], numbers[order]
    present = ~np.isnan(cells)
    filled = cells
    if not present.all():
        filled = pd.DataFrame(cells).groupby(sorted_codes).ffill().to_numpy()
    first = np.ones(len(cells), dtype=bool)
    first[1:] = sorted_codes[1:] != sorted_codes[:-1]
    changes = np.broadcast_to(first[:, None], cells.shape).copy()
    changes[1:] |= (filled[1:] != filled[:-1]) & ~np.isnan(filled[1:])
    starts = np.maximum.accumulate(np.where(changes, np.arange(len(cells))[:, None], 0), axis=0)
    counts = np.cumsum(present, axis=0)
    sorted_lengths = counts - np.take_along_axis(counts, starts, axis=0) + 1
    sorted_lengths[np.isnan(filled)] = 0
    lengths = np.empty_like(sorted_lengths)
    lengths[order] = np.where(present, sorted_lengths, 0)
    if earlier:
        begun = np.zeros(sorted_lengths.shape, dtype=np.int64)
        begun[: len(earlier)] = [np.maximum(last.lengths - 1, 0) for _, last in earlier]
        gained = np.take_along_axis(begun[order], starts, axis=0)
        sorted_lengths += np.where(sorted_lengths > 0, gained, 0)
        lengths[order] += np.where(present, gained, 0)
    ends = np.append(np.flatnonzero(first)[1:], len(cells)) - 1
    for name, end in zip(names, ends, strict=True):
        known[name] = Stretch(filled[end], sorted_lengths[end])
    for name in list(known)[:-MOST_ENTITIES]:
        del known[name]
    return lengths[len(earlier) :], Repeats(by_entity=known)


def none_too_long(
    numbers: Values, entities: Texts, limits: Sequence[int], before: Repeats | None = None
) -> Repeats | None:
    """Return the newest stretches, if a quick check shows that no stretch is too long; else None.

    Records rarely repeat a number. With few repetitions, the slow `run_lengths` is not needed.

    Args:
        numbers: (N, K) numbers in the order of time, NaN where missing.
        entities: (N,) the entity of each record.
        limits: (K,) largest usual length of a stretch.
        before: the newest stretches of the earlier records.

    Returns:
        None if there are several entities or missing cells, or if there are enough repetitions for
        a stretch that is too long.
    """
    if (entities != entities[0]).any() or np.isnan(numbers).any():
        return None
    same = numbers[1:] == numbers[:-1]
    known = dict(before.by_entity) if before is not None else {}
    earlier = known.pop(entities[0], None)
    carried = np.zeros(numbers.shape[1], dtype=np.int64)
    if earlier is not None:
        carried = np.where(earlier.numbers == numbers[0], earlier.lengths, 0)
    if (same.sum(axis=0) + 1 + carried > np.array(limits)).any():
        return None
    # True where every pair of neighbours, from this pair to the last pair, has equal numbers.
    ends = np.logical_and.accumulate(same[::-1][: max(limits)], axis=0).sum(axis=0)
    lengths = 1 + ends + np.where(ends == len(same), carried, 0)
    return Repeats(by_entity=known | {entities[0]: Stretch(numbers[-1], lengths)})


def longest_usual(numbers: Values, entities: Texts) -> int:
    """Return the largest usual length of a stretch; 0 for a column that is not watched.

    Args:
        numbers: (N,) numbers of the training, in the order of time, NaN where missing.
        entities: (N,) the entity of each record.
    """
    records = int(np.count_nonzero(~np.isnan(numbers)))
    if records < LEAST_RECORDS:
        return 0
    lengths, _ = run_lengths(numbers[:, None], entities)
    longest, share = int(lengths.max()), float((lengths > 1).sum() / records)
    if longest > max(STANDING, STANDING_SHARE * records):
        return 0
    by_chance = TIMES * np.log(records) / -np.log(share) + BEYOND if share > 0 else BEYOND
    if share > RARE_SHARE or longest > by_chance:
        return HELD_TIMES * longest
    return TIMES * longest + BEYOND


def find_frozen(
    numbers: Values,
    lengths: Lengths,
    limits: Sequence[int],
    decimals: Sequence[int],
    units: Sequence[int] = (),
) -> Lengths:
    """Return the lengths (N, K) of stretches that are above their limit; 0 for other cells.

    The result is also 0 for a column with coarser numbers than in training, because this column
    repeats numbers through rounding.

    Args:
        numbers: (N, K) numbers in the order of time, NaN where missing.
        lengths: (N, K) length of the stretch up to each cell.
        limits: (K,) largest usual length of a stretch; 0 without a limit.
        decimals: (K,) number of decimals in training, see `resolution.are_fine`.
        units: (K,) rounding steps in training, see `resolution.are_fine`.
    """
    most = np.array(limits)
    frozen = np.where((most > 0) & (lengths > most), lengths, 0)
    columns = np.flatnonzero(frozen.any(axis=0))
    if not columns.size:
        return frozen
    fine = are_fine(numbers, decimals, units)
    for column in columns.tolist():
        cells = numbers[:, column]
        one = len(np.unique(cells[~np.isnan(cells)])) == 1
        if not (fine[column] or (one and fine.any())):
            frozen[:, column] = 0
    return frozen
