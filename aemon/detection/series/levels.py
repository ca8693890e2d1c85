"""Levels: means of about the last hundred records of an entity, which make slow changes visible.

In the modules of `series`, a run is not a run of a job: a run consists of consecutive records of
one entity, without a long gap.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows

Sums = npt.NDArray[np.float64]

BLOCK_RECORDS = 32
"""Usual number of records in a block of time."""

EARLIER_BLOCKS = 3
"""Number of earlier full blocks in a level, together with the current block: a level is the mean of
96 to 128 records. (With windows of four records, levels of 32 to 256 records raise the average
precision on servers by .02 to .05. On plants and application servers, levels change the average
precision by at most .02, up or down.)"""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class LevelTail:
    """Sums of features over the last K blocks of time of one entity, the newest block last.

    Attributes:
        blocks: (K,) number of each block, counted in block lengths since 1970.
        counts: (K,) number of records in each block.
        sums: (K, F) sum of the features of the records in each block.
    """

    blocks: npt.NDArray[np.int64]
    counts: Sums
    sums: Sums


def block_length(block: np.timedelta64) -> int:
    """Return the length of a block of time in microseconds; the length is at least 1."""
    return max(int(block.astype("timedelta64[us]").astype(np.int64)), 1)


class Levels(NamedTuple):
    """Distances of N records from the levels of their runs, with the last blocks of the runs."""

    gaps: Floats  # (N, F), in the order of the records
    tails: list[LevelTail]  # for each run that ends at a given place


def levels_of(
    features: Floats,
    inside: Mask,
    blocks: npt.NDArray[np.int64],
    starts: Rows,
    *,
    tails: dict[int, LevelTail],
    ends: Rows,
) -> Levels:
    """Return the distance of each record from its level, and the last blocks of runs.

    The level of a record is a mean over the record itself and earlier records of the same run: the
    earlier records in the same block of time, and the records of the `EARLIER_BLOCKS` previous
    blocks. Blocks begin at fixed times. So a level does not depend on the record with which reading
    began, as soon as reading covers all blocks of the level.

    Args:
        features: (N, F) features of one run after another, each run in the order of time.
        inside: (N,) mask of the records that count for levels.
        blocks: (N,) number of each record's block.
        starts: (N,) place of the first record in the run of each record.
        tails: place of the first record of a run -> earlier blocks of the run.
        ends: (E,) places of the last records of E runs, for which the last blocks are returned.
    """
    count, width = features.shape
    places = np.array(sorted(tails), dtype=np.intp)
    known = [tails[place] for place in places.tolist()]
    before = np.repeat(
        places, [len(tail.blocks) for tail in known]
    )  # the place before which each earlier block is inserted
    shift = np.searchsorted(before, np.arange(count), side="right")  # blocks inserted before each
    here = np.arange(count) + shift
    earlier = np.arange(len(before)) + before
    total = count + len(before)
    rows, numbers, runs = np.zeros((total, width)), np.zeros(total), np.zeros(total, dtype=np.intp)
    which = np.zeros(total, dtype=np.int64)
    rows[here], numbers[here] = features * inside[:, None], inside
    which[here], runs[here] = blocks, starts
    if len(before):
        rows[earlier] = np.concatenate([tail.sums for tail in known])
        numbers[earlier] = np.concatenate([tail.counts for tail in known])
        which[earlier] = np.concatenate([tail.blocks for tail in known])
        runs[earlier] = before
    summed = _Summed.of(rows, numbers, which, runs)
    sums, counts = summed.up_to_each()
    earlier_sums, earlier_counts = summed.blocks_before()
    sums += earlier_sums[summed.group]
    counts += earlier_counts[summed.group]
    levels = sums[here] / np.maximum(counts[here], 1.0)[:, None]
    gaps = np.where((counts[here] > 0)[:, None], features - levels, 0.0).astype(np.float32)
    return Levels(gaps, [summed.tail(place) for place in here[ends].tolist()])


@dataclass(frozen=True, eq=False)
class _Summed:
    """Consecutive rows in G groups; a group has the rows of one block of one run."""

    rows: Sums  # (N, F)
    numbers: Sums  # (N,) number of records in each row
    group: Rows  # (N,) group of each row
    firsts: Rows  # (G,) first row of each group
    blocks: npt.NDArray[np.int64]  # (G,) number of the block
    runs: Rows  # (G,) number of the run

    @classmethod
    def of(cls, rows: Sums, numbers: Sums, which: npt.NDArray[np.int64], runs: Rows) -> "_Summed":
        begins = np.ones(len(rows), dtype=bool)
        begins[1:] = (which[1:] != which[:-1]) | (runs[1:] != runs[:-1])
        firsts = np.flatnonzero(begins)
        return cls(rows, numbers, np.cumsum(begins) - 1, firsts, which[firsts], runs[firsts])

    def up_to_each(self) -> tuple[Sums, Sums]:
        """Return sums (N, F) and counts (N,) over each row and the earlier rows of its group."""
        sums, counts = np.cumsum(self.rows, axis=0), np.cumsum(self.numbers)
        first = self.firsts[self.group]
        sums -= sums[first] - self.rows[first]
        counts -= counts[first] - self.numbers[first]
        return sums, counts

    @cached_property
    def totals(self) -> tuple[Sums, Sums]:
        """Sums (G, F) and counts (G,) of the groups."""
        if not len(self.firsts):
            return np.zeros((0, self.rows.shape[1])), np.zeros(0)
        sums: Sums = np.add.reduceat(self.rows, self.firsts, axis=0)
        counts: Sums = np.add.reduceat(self.numbers, self.firsts)
        return sums, counts

    def blocks_before(self) -> tuple[Sums, Sums]:
        """Return sums (G, F) and counts (G,) over the earlier blocks in the level of each group."""
        own_sums, own_counts = self.totals
        sums, counts = np.zeros_like(own_sums), np.zeros_like(own_counts)
        for lag in range(1, EARLIER_BLOCKS + 1):
            later = np.arange(lag, len(self.firsts))
            counted = self.runs[later] == self.runs[later - lag]
            counted &= self.blocks[later - lag] >= self.blocks[later] - EARLIER_BLOCKS
            later = later[counted]
            sums[later] += own_sums[later - lag]
            counts[later] += own_counts[later - lag]
        return sums, counts

    def tail(self, row: int) -> LevelTail:
        """Return the last blocks of the run that ends at this row."""
        last = int(self.group[row])
        first = last
        while (
            first > 0
            and last - first < EARLIER_BLOCKS
            and self.runs[first - 1] == self.runs[last]
            and self.blocks[first - 1] >= self.blocks[last] - EARLIER_BLOCKS
        ):
            first -= 1
        sums, counts = self.totals
        kept = slice(first, last + 1)
        return LevelTail(blocks=self.blocks[kept], counts=counts[kept], sums=sums[kept])
