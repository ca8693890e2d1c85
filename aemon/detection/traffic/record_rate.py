"""Record rate: detection of many more, or many fewer, records per time than in training.

Time is divided into stretches of the same length, and the records of each stretch are counted.
"""

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
"""Possible lengths of a stretch. The shortest length with enough records in a stretch is used."""

LEAST_RECORDS, LEAST_STRETCHES = 10, 20
"""Least median number of records in a stretch, and least number of stretches in training. If there
are fewer records or fewer stretches, the usual range of counts is unknown."""

LEAST_SPAN, STEADY = timedelta(days=2), 1.25
"""A training of less than LEAST_SPAN does not show the traffic at night. Such a training suffices
only if records come regularly: the largest count of a stretch is at most STEADY times the least
count."""

LONGEST_GAP = 4
"""Largest number of consecutive stretches without records that count as stretches of 0 records. If
there are more, the source has paused; the setting `stale_after` decides when this is reported."""

TIMES, CHANCE = 2.0, 3.0
"""A count is unusual if it is above TIMES the largest count of the training, or below 1 / TIMES of
the least count. An unusual count must also differ from this largest or least count by more than
CHANCE standard deviations."""


Stretches = npt.NDArray[np.int64]
"""Numbers of stretches since 1970, or counts of records in stretches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UsualRate:
    """The usual number of records in a stretch of time. `learn_rate` makes it.

    Attributes:
        seconds: length of a stretch; a stretch begins at a multiple of this length since 1970.
        least: least number of records in a stretch of the training.
        most: largest number of records in a stretch of the training.
    """

    seconds: int
    least: int
    most: int

    def is_unusual(self, count: int) -> bool:
        """Return whether a count of records is far above or far below all counts in training."""
        fewer = count < self.least / TIMES and self.least - count > CHANCE * sqrt(self.least)
        return fewer or (count > TIMES * self.most and count - self.most > CHANCE * sqrt(count))

    def as_json(self) -> dict[str, int]:
        """Return all attributes."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """The number of records in the current stretch of time, and the last unusual number, if any.

    Attributes:
        stretch: number of the current stretch, counted since 1970; None before the first record.
        records: number of records in the current stretch so far.
        unusual: number of records in the last whole stretch, if this number is unusual; else None.
        since: number of the first stretch with an unusual count; None if `unusual` is None.
        partial: whether the count may be incomplete, because the count began in this stretch.
    """

    stretch: int | None = None
    records: int = 0
    unusual: int | None = None
    since: int | None = None
    partial: bool = False

    def after(self, times: Times, usual: UsualRate) -> "Counted":
        """Return the counts after N more records; late records of earlier stretches do not count.

        Args:
            times: (N,) event times, in any order.
            usual: the usual number of records in training.
        """
        stretches, counts = np.unique(_stretches(times, usual.seconds), return_counts=True)
        now = self
        for stretch, count in zip(stretches.tolist(), counts.tolist(), strict=True):
            last = now.stretch
            if last is None:  # the stretch may have begun before its first record
                now = replace(now, stretch=stretch, records=count, partial=True)
            elif stretch == last:
                now = replace(now, records=now.records + count)
            elif stretch > last + 1 + LONGEST_GAP:  # a pause, with an unknown start and end
                now = replace(now, stretch=stretch, records=count, partial=True)
            elif stretch > last:
                if not now.partial:
                    now = _judged(now, last, now.records, usual)
                if stretch > last + 1:  # stretches without records lie between
                    now = _judged(now, last + 1, 0, usual)
                now = replace(now, stretch=stretch, records=count, partial=False)
        return now

    def summary(self, usual: UsualRate) -> str:
        """Return a text about the unusual number of records; empty if the number is usual."""
        if self.unusual is None or self.since is None:
            return ""
        since = datetime.fromtimestamp(self.since * usual.seconds, UTC)
        each = format_duration(timedelta(seconds=usual.seconds))
        came = f"{usual.least} to {usual.most}" if usual.least < usual.most else str(usual.least)
        return (
            f"{self.unusual} records in {each}, where {came} came in training; "
            f"unusual since {since:%Y-%m-%d %H:%M} UTC"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Any) -> "Counted":
        """Return the counts that `as_json` wrote; empty counts if `stored` cannot be read."""
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
    """Return the counts after the end of `stretch`, which has `count` records."""
    if not usual.is_unusual(count):
        return replace(now, unusual=None, since=None)
    return replace(now, unusual=count, since=stretch if now.since is None else now.since)


_MOST = 10**11  # a stored number of this size or larger is not valid


def learn_rate(times: Times) -> tuple[UsualRate, Counted] | None:
    """Learn the usual number of records in a stretch of time; None if the records are too few.

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
    """Return the number of records in each whole stretch, with 0 for stretches without records.

    The first stretch, the last stretch, and the stretches next to a pause are not whole.

    Args:
        places: (S,) numbers of the stretches with records, ascending.
        counts: (S,) number of records in each of these stretches.
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
    """Return the rate that `UsualRate.as_json` wrote."""
    return UsualRate(**{name: int(stored[name]) for name in ("seconds", "least", "most")})


def _stretches(times: Times, seconds: int) -> Stretches:
    """Return the number of the stretch of each record (N,), counted since 1970.

    Args:
        times: (N,) event times.
        seconds: length of a stretch.
    """
    return times.astype("datetime64[us]").astype(np.int64) // (seconds * 1_000_000)
