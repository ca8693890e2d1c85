"""Counters by their increase: what a meter total gained since the record before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Times, Values
from aemon.detection.features.counters import each_alone

MOST_ENTITIES = 1_000
"""Entities whose last counts are kept, those seen last."""

USUAL_STEP_SHARE = 0.5
"""Of the increases of a column: where so many are one and the same, it numbers records."""

CLOCK_SPREAD = 0.01
"""Median deviation of an increase a second, as a share of the median: a clock goes more evenly than
any meter."""

LEAST_RISING_SHARE = 0.5
"""Of the increases, that are more than 0: the others count events, now and then."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A column that is judged by its increase.

    Attributes:
        column: its name.
        pause: seconds; an increase over another time is scaled to this one.
    """

    column: str
    pause: float

    @property
    def reason(self) -> str:
        """How it is taken, for `aemon check`."""
        return (
            f"a counter: judged by its increase in {self.pause:g} s; a record in which it falls tells "
            "nothing; to judge it as it is, set columns.kinds to numeric"
        )


class Count(NamedTuple):
    """The last number of a counter, and when it was read."""

    number: float
    time: np.datetime64


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The last counts of all entities, entity -> column; of nobody, to begin with."""

    by_entity: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        """Return entity -> column -> number and time, for `from_json`."""
        return {
            entity: {name: [one.number, str(one.time)] for name, one in counts.items()}
            for entity, counts in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Counts":
        """Return what `as_json` wrote; of nobody if it is none."""
        try:
            found = {
                str(entity): {
                    str(name): Count(float(number), np.datetime64(time, "us"))
                    for name, (number, time) in counts.items()
                }
                for entity, counts in (noted or {}).items()
            }
        except (AttributeError, OverflowError, TypeError, ValueError):
            return cls()
        every = [one for counts in found.values() for one in counts.values()]
        if not all(np.isfinite(one.number) and not np.isnat(one.time) for one in every):
            return cls()
        return cls(by_entity=found)


def increases(
    numbers: Values,
    entities: Texts,
    times: Times,
    counters: Sequence[Counter],
    before: Counts | None = None,
) -> tuple[Values, Counts]:
    """Return what counters gained since the record before (N, C), and what the next ones go on from.

    NaN for the first record of an entity, for one in which a counter fell (it was reset or replaced),
    and for one that is no later than the one before. A missing cell is bridged: the next one tells
    what was gained since the last that was there, scaled to the usual pause.

    Args:
        numbers: (N, C) in the order of time, NaN where missing.
        entities: (N,) what each record belongs to: each counts for itself.
        times: (N,) event times.
        counters: (C,) the columns.
        before: of the records before these.
    """
    codes, names = pd.factorize(entities)
    known = dict(before.by_entity) if before is not None else {}
    found = np.full(numbers.shape, np.nan)
    moments = times.astype("datetime64[us]")
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code) if len(names) > 1 else np.arange(len(numbers))
        last = dict(known.pop(str(name), {}))
        for place, counter in enumerate(counters):
            there = rows[~np.isnan(numbers[rows, place])]
            cells, at = numbers[there, place], moments[there]
            if (earlier := last.get(counter.column)) is not None:
                cells, at = np.append(earlier.number, cells), np.append(earlier.time, at)
            if not len(cells):
                continue
            gained, seconds = np.diff(cells), np.diff(at) / np.timedelta64(1, "s")
            told = (gained >= 0) & (seconds > 0)
            rates = np.full(len(gained), np.nan)
            rates[told] = gained[told] * (counter.pause / seconds[told])
            found[there[len(there) - len(rates) :], place] = rates
            newest = len(at) - 1 - int(at[::-1].argmax())  # a late record is not the last one
            last[counter.column] = Count(float(cells[newest]), at[newest])
        known[str(name)] = last
    for name in list(known)[:-MOST_ENTITIES]:
        del known[name]
    return found, Counts(by_entity=known)


def counter_of(name: str, numbers: Values, entities: Texts, times: Times) -> Counter | None:
    """Return a column that rises as a counter of something; None if it numbers records, or times.

    What numbers records goes up by the same step mostly, or rises through all entities together; a
    clock goes evenly; and what counts events now and then says nothing by its increase.

    Args:
        name: of the column.
        numbers: (N,) in the order of time, NaN where missing.
        entities: (N,) what each record belongs to.
        times: (N,) event times.
    """
    steps = np.concatenate([np.diff(own) for own in each_alone(numbers, entities)])
    rises = steps[steps > 0]
    if len(rises) < LEAST_RISING_SHARE * len(steps):
        return None
    _, often = np.unique(rises, return_counts=True)
    if often.max() > USUAL_STEP_SHARE * len(rises):
        return None
    there = numbers[~np.isnan(numbers)]
    several = len(np.unique(entities.astype(str))) > 1
    if several and (there == np.rint(there)).all() and (np.diff(there) > 0).all():
        return None
    counter = usual_counter(name, entities, times)
    rates, _ = increases(numbers[:, None], entities, times, [counter])
    rates = rates[~np.isnan(rates)]
    middle = float(np.median(rates)) if rates.size else 0.0
    if middle <= 0 or np.median(np.abs(rates - middle)) < CLOCK_SPREAD * middle:
        return None
    return counter


def usual_counter(name: str, entities: Texts, times: Times) -> Counter:
    """Return a counter whose increases are told over the usual pause of N records."""
    seconds = (times - times.min()) / np.timedelta64(1, "s") if len(times) else np.zeros(0)
    pauses = np.concatenate([np.diff(own) for own in each_alone(seconds, entities)])
    pauses = pauses[pauses > 0]
    return Counter(column=name, pause=float(np.median(pauses)) if pauses.size else 1.0)
