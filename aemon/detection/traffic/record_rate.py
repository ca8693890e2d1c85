"""How many records come per time: many more, or many fewer, than in any stretch of the training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.clock import format_duration
from aemon.detection.arrays import Times

STRETCHES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 6 * 60, 24 * 60))
"""Records are counted in the shortest of these that holds enough of them."""

LEAST_RECORDS, LEAST_STRETCHES = 10, 20
"""In a usual stretch, and stretches in training: fewer show no range."""

LEAST_SPAN, STEADY = timedelta(days=2), 1.25
"""Shorter trainings have not seen what a night brings, unless records come by a clock: the most in a
stretch are so many times the least."""

LONGEST_GAP = 4
"""More stretches without records are a pause of the source, which `stale_after` is about."""

TIMES, CHANCE = 2.0, 3.0
"""A count is unusual at so many times the most or the fraction of the least that training saw, and
beyond so many standard deviations of chance."""


Stretches = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsualRate:
    """How many records came in a stretch of time. Made by `learn_rate`.

    Attributes:
        seconds: how long a stretch is; each begins at a multiple of that since 1970.
        least: fewest records in one.
        most: most records in one.
    """

    seconds: int
    least: int
    most: int

    def is_unusual(self, count: int) -> bool:
        """Return whether so many records are many more or many fewer than ever."""
        fewer = count < self.least / TIMES and self.least - count > CHANCE * sqrt(self.least)
        return fewer or (count > TIMES * self.most and count - self.most > CHANCE * sqrt(count))

    def as_json(self) -> dict[str, int]:
        """Return all of it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """The records of the stretch of time that is not over, and the last one that is.

    Attributes:
        stretch: which it is, counted since 1970; None before the first record.
        records: how many came in it.
        unusual: records of the last whole one, where those are unusual; else None.
        since: the stretch in which that began.
        partial: whether the stretch that is not over may have begun before its first record.
    """

    stretch: int | None = None
    records: int = 0
    unusual: int | None = None
    since: int | None = None
    partial: bool = False

    def after(self, times: Times, usual: UsualRate) -> "Counted":
        """Return the same after N more records; late ones, of stretches that are over, say nothing.

        Args:
            times: (N,) event times, in any order.
            usual: of the training.
        """
        stretches, counts = np.unique(_stretches(times, usual.seconds), return_counts=True)
        now = self
        for stretch, count in zip(stretches.tolist(), counts.tolist(), strict=True):
            last = now.stretch
            if last is None:  # it may have begun before
                now = replace(now, stretch=stretch, records=count, partial=True)
            elif stretch == last:
                now = replace(now, records=now.records + count)
            elif stretch > last + 1 + LONGEST_GAP:  # a pause: nobody knows when it began and ended
                now = replace(now, stretch=stretch, records=count, partial=True)
            elif stretch > last:
                if not now.partial:
                    now = _judged(now, last, now.records, usual)
                if stretch > last + 1:  # between the two there was none
                    now = _judged(now, last + 1, 0, usual)
                now = replace(now, stretch=stretch, records=count, partial=False)
        return now

    def summary(self, usual: UsualRate) -> str:
        """Return what is unusual, as a sentence; empty where nothing is."""
        if self.unusual is None or self.since is None:
            return ""
        since = datetime.fromtimestamp(self.since * usual.seconds, UTC)
        each = format_duration(timedelta(seconds=usual.seconds))
        came = f"{usual.least} to {usual.most}" if usual.least < usual.most else str(usual.least)
        return (
            f"{self.unusual} records in {each}, where {came} came in training, "
            f"since {since:%Y-%m-%d %H:%M} UTC"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Any) -> "Counted":
        """Return the inverse of `as_json`; as before the first record where it is none."""
        try:
            found = {name: stored[name] for name in ("stretch", "records", "unusual", "since")}
            partial = bool(stored["partial"])
        except (KeyError, TypeError):
            return cls()
        whole = all(
            one is None or (type(one) is int and abs(one) < _MOST) for one in found.values()
        )
        if not whole or found["records"] is None:
            return cls()
        return cls(**found, partial=partial)


def _judged(now: Counted, stretch: int, count: int, usual: UsualRate) -> Counted:
    """End a stretch with so many records."""
    if not usual.is_unusual(count):
        return replace(now, unusual=None, since=None)
    return replace(now, unusual=count, since=stretch if now.since is None else now.since)


_MOST = 10**11


def learn_rate(times: Times) -> tuple[UsualRate, Counted] | None:
    """Learn how many records come in a stretch of time; None where the records are too few.

    Args:
        times: (N,) event times, in any order.
    """
    if not len(times):
        return None
    young = times.max() - times.min() < np.timedelta64(LEAST_SPAN)
    for stretch in STRETCHES:
        seconds = int(stretch.total_seconds())
        places, counts = np.unique(_stretches(times, seconds), return_counts=True)
        whole = _whole(places, counts)
        if len(whole) < LEAST_STRETCHES:
            continue
        least, most = int(whole.min()), int(whole.max())
        if np.median(whole) >= LEAST_RECORDS and (not young or most <= STEADY * least):
            usual = UsualRate(seconds=seconds, least=least, most=most)
            return usual, Counted(stretch=int(places[-1]), records=int(counts[-1]))
    return None


def _whole(places: Stretches, counts: Stretches) -> Stretches:
    """The records in each whole stretch, those without any among them.

    The first and the last one are none, nor are those on both sides of a pause.

    Args:
        places: (S,) the stretches with records, in order.
        counts: (S,) how many.
    """
    gaps = np.diff(places) - 1
    pause = gaps > LONGEST_GAP
    whole = np.ones(len(places), dtype=bool)
    whole[[0, -1]] = False
    whole[:-1] &= ~pause
    whole[1:] &= ~pause
    empty = np.zeros(int(gaps[~pause].sum()), dtype=counts.dtype)
    return np.concatenate([counts[whole], empty])


def usual_from(stored: Mapping[str, Any]) -> UsualRate:
    """Return the inverse of `UsualRate.as_json`."""
    return UsualRate(**{name: int(stored[name]) for name in ("seconds", "least", "most")})


def _stretches(times: Times, seconds: int) -> Stretches:
    """The stretch (N,) of each record.

    Args:
        times: (N,) event times.
        seconds: how long a stretch is.
    """
    return times.astype("datetime64[us]").astype(np.int64) // (seconds * 1_000_000)
