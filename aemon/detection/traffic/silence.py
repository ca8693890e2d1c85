"""Silent entities: entities without a record for an unusually long time, while other entities send.

Time is counted only while any entity sends records. If the time between two records is longer than
a long step of the training (`Pauses.step`), only the long step counts. So no entity is silent
because a whole plant pauses at night. A separate check finds a monitor without any new records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Times, Values

LEAST_RECORDS = 20
"""An entity with fewer training records is not watched, because its records do not show how long it
may pause."""

MOST_ENTITIES = 10_000
"""Largest number of watched entities. If there are more entities, the entities with the most
records are watched."""

TIMES, TIMES_YOUNG = 3.0, 10.0
"""An entity is silent after TIMES times its longest pause in training. A training shorter than
`WHOLE` does not show the pauses at night. After such a training, an entity is silent after
TIMES_YOUNG times its longest pause."""

WHOLE = timedelta(days=2)
"""Least length of a training that shows the pauses at night."""

LONG_STEPS, LONG_SHARE = 10.0, 0.99
"""A step between two records counts as at most the larger of two times: LONG_STEPS times the median
step, and the LONG_SHARE quantile of the steps."""

_SECOND = np.timedelta64(1, "s")
_FIRST_DAY = np.datetime64(0, "us")


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """The pauses of entities in training. `learn_pauses` makes them.

    Attributes:
        step: seconds; a longer time between two records counts as this time.
        longest: entity -> its longest pause, in seconds that are counted with `step`.
        times: an entity is silent after its longest pause times this number.
    """

    step: float
    longest: Mapping[str, float]
    times: float = TIMES

    def allowed(self, entity: str, silent_after: timedelta | None) -> float:
        """Return the number of seconds without a record after which an entity is silent.

        The number is `silent_after`. If `silent_after` is None, the number is computed from the
        entity's longest pause.
        """
        if silent_after is not None:
            return silent_after.total_seconds()
        return max(self.times * self.longest[entity], self.step)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {"step": self.step, "longest": dict(self.longest), "times": self.times}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Pauses":
        """Return the pauses that `as_json` wrote."""
        return cls(
            step=float(stored["step"]),
            longest=dict(stored["longest"]),
            times=float(stored["times"]),
        )


@dataclass(frozen=True, kw_only=True)
class Senders:
    """The time of each entity's newest record; empty by default.

    Attributes:
        newest: time of the newest record of all entities, in seconds since 1970; None before the
            first record.
        clock: number of seconds counted up to the newest record.
        seen: entity -> value of `clock`, and seconds since 1970, at this entity's newest record.
    """

    newest: float | None = None
    clock: float = 0.0
    seen: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def after(self, times: Times, entities: Texts, pauses: Pauses) -> "Senders":
        """Return the times after N more records; only records later than `newest` count.

        Args:
            times: (N,) event times, in any order.
            entities: (N,) the entity of each record.
            pauses: the pauses in training; entities without a known pause are not watched.
        """
        at = _seconds(times)
        rows = np.flatnonzero(at > self.newest) if self.newest is not None else np.arange(len(at))
        if not rows.size:
            return self
        moments = np.unique(at[rows])
        begin = moments[:1] if self.newest is None else np.array([self.newest])
        steps = np.minimum(np.diff(np.concatenate([begin, moments])), pauses.step)
        clocks = self.clock + np.cumsum(steps)
        seen = {name: pair for name, pair in self.seen.items() if name in pauses.longest}
        for name, time in _newest_of_each(at[rows], entities[rows]).items():
            if name in pauses.longest:
                place = int(np.searchsorted(moments, time))
                seen[name] = (round(float(clocks[place]), 3), time)
        return Senders(newest=float(moments[-1]), clock=round(float(clocks[-1]), 3), seen=seen)

    def silent(self, pauses: Pauses, silent_after: timedelta | None = None) -> dict[str, datetime]:
        """Return silent entity -> time of its last record, the longest silence first.

        Args:
            pauses: the pauses in training.
            silent_after: configured time after which an entity is silent; None if not configured.
        """
        found = [
            (time, name)
            for name, (clock, time) in self.seen.items()
            if name in pauses.longest and self.clock - clock > pauses.allowed(name, silent_after)
        ]
        return {name: datetime.fromtimestamp(time, UTC) for time, name in sorted(found)}

    def without(self, names: Mapping[str, Any]) -> "Senders":
        """Return the times without the named entities, which are watched again when they send."""
        seen = {name: pair for name, pair in self.seen.items() if name not in names}
        return Senders(newest=self.newest, clock=self.clock, seen=seen)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {"newest": self.newest, "clock": self.clock, "seen": dict(self.seen)}

    @classmethod
    def from_json(cls, stored: Any) -> "Senders":
        """Return the times that `as_json` wrote; empty times if `stored` cannot be read."""
        try:
            seen = {str(name): (float(a), float(b)) for name, (a, b) in stored["seen"].items()}
            newest = None if stored["newest"] is None else float(stored["newest"])
            found = cls(newest=newest, clock=float(stored["clock"]), seen=seen)
            numbers = [found.clock, newest or 0.0, *(x for pair in seen.values() for x in pair)]
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()
        return found if np.isfinite(numbers).all() and max(numbers) < _LATEST else cls()


_LATEST = 1e11  # seconds since 1970; a stored time of this size or larger is not valid


def learn_pauses(times: Times, entities: Texts) -> tuple[Pauses, Senders] | None:
    """Learn the pauses of entities, and the time of each entity's newest record.

    An entity that is silent at the end of the records is watched again when it sends a record.

    Args:
        times: (N,) event times, in any order.
        entities: (N,) the entity of each record.

    Returns:
        None if there are fewer than two entities, or fewer than `LEAST_RECORDS` different times.
    """
    at = _seconds(times)
    moments = np.unique(at)
    if len(moments) < LEAST_RECORDS or len(set(entities)) < 2:  # noqa: PLR2004 -- of two
        return None
    steps = np.diff(moments)
    step = max(LONG_STEPS * float(np.median(steps)), float(np.quantile(steps, LONG_SHARE)))
    clocks = np.concatenate([[0.0], np.cumsum(np.minimum(steps, step))])
    longest = _longest_gaps(clocks[np.searchsorted(moments, at)], entities)
    whole = moments[-1] - moments[0] >= WHOLE.total_seconds()
    pauses = Pauses(step=step, longest=longest, times=TIMES if whole else TIMES_YOUNG)
    senders = Senders().after(times, entities, pauses)
    return pauses, senders.without(senders.silent(pauses))


def _longest_gaps(clocks: Values, entities: Texts) -> dict[str, float]:
    """Return entity -> its longest pause in seconds, for entities with at least `LEAST_RECORDS`.

    Args:
        clocks: (N,) counted seconds at each record.
        entities: (N,) the entity of each record.
    """
    frame = pd.DataFrame({"entity": entities, "clock": clocks})
    counts = frame["entity"].value_counts()
    often = counts[counts >= LEAST_RECORDS].head(MOST_ENTITIES).index
    frame = frame[frame["entity"].isin(often)].sort_values("clock", kind="stable")
    gaps = frame.groupby("entity", sort=False)["clock"].diff()
    longest = gaps.groupby(frame["entity"]).max()
    return {str(name): round(float(gap), 3) for name, gap in longest.items() if name}


def _newest_of_each(at: Values, entities: Texts) -> dict[str, float]:
    codes, names = pd.factorize(entities)
    newest = np.full(len(names), -np.inf)
    np.maximum.at(newest, codes, at)
    return {str(name): float(time) for name, time in zip(names, newest, strict=True)}


def _seconds(times: Times) -> Values:
    return np.asarray((times - _FIRST_DAY) / _SECOND, dtype=np.float64)
