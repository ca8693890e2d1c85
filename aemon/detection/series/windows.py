"""Windows: each record beside those before it, of its own entity and without a gap between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Times, Values
from aemon.detection.series.levels import LevelTail, block_length, levels_of
from aemon.detection.series.tails import Tail, Tails

SMOOTHED = 16
"""Records whose mean surprise counts beside the record's own."""

MOST_SURPRISE = 10.0
"""In nats, of one record in that mean: a single spike must not flag those after it."""


class Windows(NamedTuple):
    """N records beside those before them."""

    cells: Floats  # (N, W, F), the record first, then those before it, the newest first
    there: Mask  # (N, W), which of them there were; the others repeat the oldest one


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """Where N records stand in the runs of their entities. Made by `runs_of`.

    A run ends at a gap. Records that come late, behind younger ones that were seen before, are in
    runs of their own. Arrays are in the order of entity and time.

    Attributes:
        order: (N,) rows of the frame.
        behind: (N,) how many records of the frame precede each one in its run.
        tails: (N,) which tail its run goes on from, or -1.
        kept: those tails.
        names: of the entities with records that are not late, in order.
        ends: (E,) place of the last record of each.
    """

    order: Rows
    behind: Rows
    tails: Rows
    kept: list[Tail]
    names: list[str]
    ends: Rows

    def windows(self, features: Floats, width: int) -> Windows:
        """Put each record beside those before it; windows are in the order of the frame.

        Args:
            features: (N, F) in the order of the frame.
            width: records in a window, W.
        """
        ordered = features[self.order]
        earlier = _stacked([tail.features for tail in self.kept], width - 1, features.shape[1])
        cells = np.empty((len(ordered), width, features.shape[1]), dtype=np.float32)
        there = np.ones((len(ordered), width), dtype=bool)
        cells[:, 0] = ordered
        for lag in range(1, width):
            found, there[:, lag] = self._before(ordered, earlier, lag)
            cells[:, lag] = np.where(there[:, lag, None], found, cells[:, lag - 1])
        windows = Windows(np.empty_like(cells), np.empty_like(there))
        windows.cells[self.order], windows.there[self.order] = cells, there
        return windows

    def smoothed(self, surprises: Values) -> Values:
        """Return the mean (N,) of each record's surprise and the mean one of its run's last records.

        Args:
            surprises: (N,) in the order of the frame, as the result is.
        """
        ordered = surprises[self.order]
        capped = np.minimum(ordered, MOST_SURPRISE).astype(np.float32)[:, None]
        parts = [np.minimum(tail.surprises, MOST_SURPRISE)[:, None] for tail in self.kept]
        earlier = _stacked(parts, SMOOTHED - 1, 1)
        total, count = capped[:, 0].astype(np.float64), np.ones(len(ordered))
        for lag in range(1, SMOOTHED):
            found, there = self._before(capped, earlier, lag)
            total += np.where(there, found[:, 0], 0.0)
            count += there
        smoothed = np.empty(len(ordered))
        smoothed[self.order] = (ordered + total / count) / 2
        return smoothed

    def _before(self, ordered: Floats, earlier: "_Earlier", lag: int) -> tuple[Floats, Mask]:
        """What stands so many records before each one (N, F), and where something does (N,)."""
        found = np.zeros_like(ordered)
        here = self.behind >= lag
        found[here] = ordered[np.flatnonzero(here) - lag]
        back = lag - self.behind  # how far into the tail
        tail = ~here & (self.tails >= 0)
        tail[tail] &= back[tail] <= earlier.known[self.tails[tail]]
        found[tail] = earlier.rows[self.tails[tail], -back[tail]]
        return found, here | tail

    def levels(
        self, features: Floats, inside: Mask, times: Times, block: np.timedelta64
    ) -> tuple[Floats, list[LevelTail]]:
        """Return how far each record is from the level of its run (N, F), and the last blocks (E).

        Args:
            features: (N, F) in the order of the frame.
            inside: (N,) which records count for a level.
            times: (N,).
            block: how long a block of time is.
        """
        firsts = np.arange(len(self.order)) - self.behind
        going_on = np.flatnonzero((self.behind == 0) & (self.tails >= 0)).tolist()
        tails = {place: self.kept[self.tails[place]].level for place in going_on}
        found = levels_of(
            features[self.order],
            inside[self.order],
            times[self.order].astype("datetime64[us]").astype(np.int64) // block_length(block),
            firsts,
            tails={place: level for place, level in tails.items() if level is not None},
            ends=self.ends,
        )
        gaps = np.empty_like(found.gaps)
        gaps[self.order] = found.gaps
        return gaps, found.tails

    def tails_after(
        self,
        features: Floats,
        surprises: Values,
        times: Times,
        width: int,
        levels: Sequence[LevelTail | None] | None = None,
    ) -> dict[str, Tail]:
        """Return what the last record of each entity leaves behind.

        Args:
            features: (N, F), as `surprises` and `times` in the order of the frame.
            surprises: (N,).
            times: (N,).
            width: records in a window.
            levels: (E,) the last blocks of each entity.
        """
        found = {}
        known = levels or [None] * len(self.names)
        for name, end, level in zip(self.names, self.ends.tolist(), known, strict=True):
            rows = self.order[end - self.behind[end] : end + 1]
            last = features[rows[-(width - 1) :]]
            told: Floats = surprises[rows[-(SMOOTHED - 1) :]].astype(np.float32)
            if self.tails[end] >= 0:
                before = self.kept[self.tails[end]]
                last = np.concatenate([before.features, last])[-(width - 1) :]
                told = np.concatenate([before.surprises, told])[-(SMOOTHED - 1) :]
            found[name] = Tail(time=times[rows[-1]], features=last, surprises=told, level=level)
        return found


def runs_of(
    entities: Texts,
    times: Times,
    longest_gap: np.timedelta64,
    before: Tails | None = None,
    stretches: npt.NDArray[np.int64] | None = None,
) -> Runs:
    """Find the runs of N records.

    Args:
        entities: (N,) what each record belongs to.
        times: (N,) event times.
        longest_gap: a longer one ends a run.
        before: of the records before these.
        stretches: (N,) of operation, as `Frame` has them; a run ends with one.
    """
    stretches = np.zeros(len(times), dtype=np.int64) if stretches is None else stretches
    codes, uniques = pd.factorize(entities)
    names = [str(name) for name in uniques]
    tails = before.by_entity if before is not None else {}
    known = [tails.get(name) for name in names]
    order = np.lexsort((times, codes))
    whose, ordered = codes[order], times[order]
    late = _before_tails(known, whose, ordered)
    another = whose[1:] != whose[:-1]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = another | (ordered[1:] - ordered[:-1] > longest_gap)
    begins[1:] |= late[:-1] & ~late[1:]
    stretches = stretches[order]
    begins[1:] |= stretches[1:] != stretches[:-1]
    places = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(begins, places, 0))
    firsts = begins & ~late  # of an entity's new records
    firsts[1:] &= another | late[:-1]
    kept: list[Tail] = []
    goes_on = np.full(len(order), -1, dtype=np.intp)
    for place in np.flatnonzero(firsts).tolist():
        tail = known[whose[place]]
        if tail is None or stretches[place]:
            continue
        if ordered[place] - tail.time <= longest_gap:
            goes_on[place] = len(kept)
            kept.append(tail)
    last = np.ones(len(order), dtype=bool)
    last[:-1] = another
    ends = np.flatnonzero(last & ~late)
    return Runs(
        order=order,
        behind=places - starts,
        tails=goes_on[starts] if len(order) else goes_on,
        kept=kept,
        names=[names[code] for code in whose[ends].tolist()],
        ends=ends,
    )


def _before_tails(known: list[Tail | None], whose: Rows, times: Times) -> Mask:
    """Which records (N,) came later than younger ones of their entity: no run goes on from them."""
    never = np.datetime64("NaT", "us")
    newest = np.array([never if tail is None else tail.time for tail in known], dtype=times.dtype)
    if not len(newest):
        return np.zeros(len(times), dtype=bool)
    return np.asarray(times < newest[whose], dtype=bool)  # nothing is before NaT


class _Earlier(NamedTuple):
    """The last rows of each of E tails, at the end of K places."""

    rows: Floats  # (E, K, F)
    known: Rows  # (E,) how many there are


def _stacked(parts: list[Floats], rows: int, width: int) -> _Earlier:
    found = _Earlier(
        np.zeros((len(parts), rows, width), dtype=np.float32), np.zeros(len(parts), dtype=np.intp)
    )
    for place, part in enumerate(parts):
        found.known[place] = known = min(len(part), rows)
        if known:
            found.rows[place, -known:] = part[-known:]
    return found
