"""Windows: each record together with the earlier records of its entity, back to the last gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Times, Values
from aemon.detection.series.levels import LevelTail, block_length, levels_of
from aemon.detection.series.tails import Tail, Tails

SMOOTHED = 16
"""Number of records in the mean surprise, which is averaged with the record's own surprise."""

MOST_SURPRISE = 10.0
"""Largest surprise of a record in a mean surprise, in nats: a spike must not flag later records."""


USUAL_GAPS, LONGEST_SHARE = 3.0, 0.99
"""A run of records ends at a long gap. A gap is long if it is longer than USUAL_GAPS times the
median gap, and longer than the quantile LONGEST_SHARE of the gaps."""

Numbers = TypeVar("Numbers", Floats, Values)


class Windows(NamedTuple):
    """N windows: each record with its W - 1 earlier records."""

    cells: Floats  # (N, W, F), the record first, then the earlier records, the newest first
    present: Mask  # (N, W), True for records that exist; other places repeat the oldest record


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """Runs of N records: a run has consecutive records of one entity. Made by `runs_of`.

    A run ends at a gap. Late records (older than records that were read before) are in separate
    runs. Arrays are sorted by entity, then by time.

    Attributes:
        order: (N,) row of each record in the frame.
        behind: (N,) number of records of the frame that precede the record in its run.
        tails: (N,) place in `kept` of the tail that the record's run continues; -1 for none.
        kept: the tails that runs continue.
        names: names of the E entities with records that are not late, in order.
        ends: (E,) place of the last record of each of these entities.
    """

    order: Rows
    behind: Rows
    tails: Rows
    kept: list[Tail]
    names: list[str]
    ends: Rows

    def lagged(self, numbers: Values, most: int) -> "Lagged":
        """Return the numbers (N, F) of each record, with access to the numbers of earlier records.

        Args:
            numbers: (N, F) in the order of the frame.
            most: largest lag that is asked for.
        """
        earlier = _stacked([tail.features for tail in self.kept], most, numbers)
        return Lagged(runs=self, own=numbers[self.order], tails=earlier)

    def windows(self, features: Floats, width: int) -> Windows:
        """Return the window of each record, in the order of the frame.

        Args:
            features: (N, F) in the order of the frame.
            width: number of records in a window, W.
        """
        ordered = features[self.order]
        earlier = _stacked([tail.features for tail in self.kept], width - 1, ordered)
        cells = np.empty((len(ordered), width, features.shape[1]), dtype=np.float32)
        present = np.ones((len(ordered), width), dtype=bool)
        cells[:, 0] = ordered
        for lag in range(1, width):
            found, present[:, lag] = self.before(ordered, earlier, lag)
            cells[:, lag] = np.where(present[:, lag, None], found, cells[:, lag - 1])
        windows = Windows(np.empty_like(cells), np.empty_like(present))
        windows.cells[self.order], windows.present[self.order] = cells, present
        return windows

    def smoothed(self, surprises: Values) -> Values:
        """Return smoothed surprises (N,), in the order of the frame.

        A smoothed surprise is the mean of two numbers: the surprise of the record, and the mean
        surprise of the last `SMOOTHED` records of its run.

        Args:
            surprises: (N,) in the order of the frame.
        """
        ordered = surprises[self.order]
        capped = np.minimum(ordered, MOST_SURPRISE).astype(np.float32)[:, None]
        parts = [np.minimum(tail.surprises, MOST_SURPRISE)[:, None] for tail in self.kept]
        earlier = _stacked(parts, SMOOTHED - 1, capped)
        total, count = capped[:, 0].astype(np.float64), np.ones(len(ordered))
        for lag in range(1, SMOOTHED):
            found, present = self.before(capped, earlier, lag)
            total += np.where(present, found[:, 0], 0.0)
            count += present
        smoothed = np.empty(len(ordered))
        smoothed[self.order] = (ordered + total / count) / 2
        return smoothed

    def before(
        self, ordered: Numbers, earlier: "_Earlier[Numbers]", lag: int
    ) -> tuple[Numbers, Mask]:
        """Return the numbers (N, F) of the record that came `lag` records before each record.

        Also return a mask (N,), True where this earlier record exists. The earlier record is in the
        same run, or in the tail that the run continues.
        """
        found = np.zeros_like(ordered)
        here = self.behind >= lag
        found[here] = ordered[np.flatnonzero(here) - lag]
        back = lag - self.behind  # place in the tail, counted from its end
        tail = ~here & (self.tails >= 0)
        tail[tail] &= back[tail] <= earlier.known[self.tails[tail]]
        found[tail] = earlier.rows[self.tails[tail], -back[tail]]
        return found, here | tail

    def levels(
        self, features: Floats, inside: Mask, times: Times, block: np.timedelta64
    ) -> tuple[Floats, list[LevelTail]]:
        """Return the distance (N, F) of each record from its level, and last blocks of each entity.

        Args:
            features: (N, F) in the order of the frame.
            inside: (N,) mask of the records that count for levels.
            times: (N,) event times.
            block: length of a block of time.
        """
        firsts = np.arange(len(self.order)) - self.behind
        continued = np.flatnonzero((self.behind == 0) & (self.tails >= 0)).tolist()
        tails = {place: self.kept[self.tails[place]].level for place in continued}
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
        features: Floats | Values,
        surprises: Values,
        times: Times,
        width: int,
        levels: Sequence[LevelTail | None] | None = None,
    ) -> dict[str, Tail]:
        """Return the tail of each entity after these records.

        Args:
            features: (N, F), in the order of the frame, like `surprises` and `times`.
            surprises: (N,) surprises of the records.
            times: (N,) event times.
            width: number of records in a window.
            levels: (E,) last blocks of each entity; None if levels are not used.
        """
        found = {}
        known = levels or [None] * len(self.names)
        for name, end, level in zip(self.names, self.ends.tolist(), known, strict=True):
            rows = self.order[end - self.behind[end] : end + 1]
            last = features[rows[-(width - 1) :]]
            latest: Floats = surprises[rows[-(SMOOTHED - 1) :]].astype(np.float32)
            if self.tails[end] >= 0:
                before = self.kept[self.tails[end]]
                last = np.concatenate([before.features, last])[-(width - 1) :]
                latest = np.concatenate([before.surprises, latest])[-(SMOOTHED - 1) :]
            found[name] = Tail(time=times[rows[-1]], features=last, surprises=latest, level=level)
        return found


def runs_of(
    entities: Texts,
    times: Times,
    longest_gap: np.timedelta64,
    before: Tails | None = None,
    stretches: npt.NDArray[np.int64] | None = None,
) -> Runs:
    """Return the runs of N records.

    Args:
        entities: (N,) entity of each record.
        times: (N,) event times.
        longest_gap: longest time between two consecutive records of a run.
        before: tails after the earlier records; None without earlier records.
        stretches: (N,) period of operation of each record, as in `Frame`; a run ends at the end of
            a period.
    """
    stretches = np.zeros(len(times), dtype=np.int64) if stretches is None else stretches
    codes, uniques = pd.factorize(entities)
    names = [str(name) for name in uniques]
    tails = before.by_entity if before is not None else {}
    known = [tails.get(name) for name in names]
    order = np.lexsort((times, codes))
    owners, ordered = codes[order], times[order]
    late = _before_tails(known, owners, ordered)
    changed = owners[1:] != owners[:-1]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = changed | (ordered[1:] - ordered[:-1] > longest_gap)
    begins[1:] |= late[:-1] & ~late[1:]
    stretches = stretches[order]
    begins[1:] |= stretches[1:] != stretches[:-1]
    places = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(begins, places, 0))
    firsts = begins & ~late  # first record of an entity that is not late
    firsts[1:] &= changed | late[:-1]
    kept: list[Tail] = []
    continued = np.full(len(order), -1, dtype=np.intp)
    for place in np.flatnonzero(firsts).tolist():
        tail = known[owners[place]]
        if tail is None or stretches[place]:
            continue
        if ordered[place] - tail.time <= longest_gap:
            continued[place] = len(kept)
            kept.append(tail)
    last = np.ones(len(order), dtype=bool)
    last[:-1] = changed
    ends = np.flatnonzero(last & ~late)
    return Runs(
        order=order,
        behind=places - starts,
        tails=continued[starts] if len(order) else continued,
        kept=kept,
        names=[names[code] for code in owners[ends].tolist()],
        ends=ends,
    )


def _before_tails(known: list[Tail | None], owners: Rows, times: Times) -> Mask:
    """Return the mask (N,) of all late records: records that are older than their entity's tail."""
    never = np.datetime64("NaT", "us")
    newest = np.array([never if tail is None else tail.time for tail in known], dtype=times.dtype)
    if not len(newest):
        return np.zeros(len(times), dtype=bool)
    return np.asarray(times < newest[owners], dtype=bool)  # no time is before NaT


class _Earlier(NamedTuple, Generic[Numbers]):
    """The last rows of E tails, in K places each; a short tail fills the last places only."""

    rows: Numbers  # (E, K, F)
    known: Rows  # (E,) number of rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Lagged:
    """The numbers of N records and of the records before them. Made by `Runs.lagged`.

    Attributes:
        runs: the runs of the records.
        own: (N, F) numbers of the records, in the order of the runs.
        tails: the last numbers of the tails that runs continue.
    """

    runs: Runs
    own: Values
    tails: _Earlier[Values]

    def earlier(self, lag: int) -> tuple[Values, Mask]:
        """Return the numbers (N, F) `lag` records before each record, and a mask (N,).

        The mask is True where the earlier record exists.
        """
        if not lag:
            return self.own, np.ones(len(self.own), dtype=bool)
        return self.runs.before(self.own, self.tails, lag)


def longest_gap(entities: Texts, times: Times) -> np.timedelta64:
    """Return the longest time between two consecutive records of one run of records."""
    gaps = gaps_of(entities, times)
    if not len(gaps):
        return np.timedelta64(0, "us")
    longest = max(USUAL_GAPS * float(np.median(gaps)), float(np.quantile(gaps, LONGEST_SHARE)))
    return np.timedelta64(int(longest), "us")


def gaps_of(entities: Texts, times: Times) -> npt.NDArray[np.int64]:
    """Return the microseconds (n,) between consecutive records of the same entity."""
    order = np.lexsort((times, entities.astype(str)))
    same = entities[order][1:] == entities[order][:-1]
    found = (times[order][1:] - times[order][:-1])[same].astype("timedelta64[us]")
    return np.asarray(found.astype(np.int64))


def _stacked(
    parts: Sequence[npt.NDArray[np.floating[Any]]], rows: int, like: Numbers
) -> _Earlier[Numbers]:
    found = _Earlier(
        np.zeros((len(parts), rows, like.shape[1]), dtype=like.dtype),
        np.zeros(len(parts), dtype=np.intp),
    )
    for place, part in enumerate(parts):
        found.known[place] = known = min(len(part), rows)
        if known:
            found.rows[place, -known:] = part[-known:]
    return found
