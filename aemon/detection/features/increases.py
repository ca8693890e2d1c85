"""Computes increases of counters, such as the growth of a meter total since the last record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Times, Values
from aemon.detection.features.counters import each_alone

MOST_ENTITIES = 1_000
"""Largest number of entities whose newest counts are kept: the entities with the newest records."""

USUAL_STEP_SHARE = 0.5
"""Largest share of equal increases in a counter; in a column of record numbers, it is larger."""

CLOCK_SPREAD = 0.01
"""Least median deviation of the increase per second, as a share of the median increase per second.
A column with a smaller deviation is a clock, because no meter rises as evenly as a clock."""

LEAST_RISING_SHARE = 0.5
"""Least share of steps above 0. A column with a smaller share counts rare events."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A column that is judged by its increase.

    Attributes:
        column: name of the column.
        pause: usual seconds between two records; each increase is scaled to this time.
    """

    column: str
    pause: float

    @property
    def reason(self) -> str:
        """Description of the counter in the output of `aemon check`."""
        return (
            f"a counter: judged by its increase in {self.pause:g} s; "
            "a record in which it falls has no increase; "
            "to judge the number itself, set columns.kinds to numeric"
        )


class Count(NamedTuple):
    """The newest number of a counter, and the event time of this number."""

    number: float
    time: np.datetime64


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The newest counts of all entities: entity -> column -> count; empty by default."""

    by_entity: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        """Return entity -> column -> number and time, for `from_json`."""
        return {
            entity: {name: [one.number, str(one.time)] for name, one in counts.items()}
            for entity, counts in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Counts":
        """Return the counts that `as_json` wrote; empty counts if `noted` cannot be read."""
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
    """Return the increases (N, C) of counters from record to record, and the newest counts.

    An increase is NaN in three cases: the record is the first record of its entity; the counter
    fell, because of a reset or a new meter; the event time is not after the event time of the
    entity's previous record. After a missing cell, the next present cell gives the increase since
    the last present cell. Every increase is scaled to the usual pause.

    Args:
        numbers: (N, C) numbers in the order of time, NaN where missing.
        entities: (N,) the entity of each record; each entity has its own counters.
        times: (N,) event times.
        counters: (C,) the columns of `numbers`.
        before: the newest counts of the earlier records.
    """
    codes, names = pd.factorize(entities)
    known = dict(before.by_entity) if before is not None else {}
    found = np.full(numbers.shape, np.nan)
    moments = times.astype("datetime64[us]")
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code) if len(names) > 1 else np.arange(len(numbers))
        last = dict(known.pop(str(name), {}))
        for place, counter in enumerate(counters):
            present = rows[~np.isnan(numbers[rows, place])]
            cells, at = numbers[present, place], moments[present]
            if (earlier := last.get(counter.column)) is not None:
                cells, at = np.append(earlier.number, cells), np.append(earlier.time, at)
            if not len(cells):
                continue
            gained, seconds = np.diff(cells), np.diff(at) / np.timedelta64(1, "s")
            known_gain = (gained >= 0) & (seconds > 0)
            rates = np.full(len(gained), np.nan)
            rates[known_gain] = gained[known_gain] * (counter.pause / seconds[known_gain])
            found[present[len(present) - len(rates) :], place] = rates
            newest = len(at) - 1 - int(at[::-1].argmax())  # a late record is not the newest
            last[counter.column] = Count(float(cells[newest]), at[newest])
        known[str(name)] = last
    for name in list(known)[:-MOST_ENTITIES]:
        del known[name]
    return found, Counts(by_entity=known)


def counter_of(name: str, numbers: Values, entities: Texts, times: Times) -> Counter | None:
    """Return the counter of a rising column; None for a record number, a clock or rare events.

    A record number rises mostly by the same step, or rises from each record to the next record even
    if the records belong to different entities. A clock rises evenly. The increase of a counter of
    rare events carries no information.

    Args:
        name: name of the column.
        numbers: (N,) numbers in the order of time, NaN where missing.
        entities: (N,) the entity of each record.
        times: (N,) event times.
    """
    steps = np.concatenate([np.diff(own) for own in each_alone(numbers, entities)])
    rises = steps[steps > 0]
    if len(rises) < LEAST_RISING_SHARE * len(steps):
        return None
    _, often = np.unique(rises, return_counts=True)
    if often.max() > USUAL_STEP_SHARE * len(rises):
        return None
    present = numbers[~np.isnan(numbers)]
    several = len(np.unique(entities.astype(str))) > 1
    if several and (present == np.rint(present)).all() and (np.diff(present) > 0).all():
        return None
    counter = usual_counter(name, entities, times)
    rates, _ = increases(numbers[:, None], entities, times, [counter])
    rates = rates[~np.isnan(rates)]
    middle = float(np.median(rates)) if rates.size else 0.0
    if middle <= 0 or np.median(np.abs(rates - middle)) < CLOCK_SPREAD * middle:
        return None
    return counter


def usual_counter(name: str, entities: Texts, times: Times) -> Counter:
    """Return a counter whose pause is the median time between two records of an entity."""
    seconds = (times - times.min()) / np.timedelta64(1, "s") if len(times) else np.zeros(0)
    pauses = np.concatenate([np.diff(own) for own in each_alone(seconds, entities)])
    pauses = pauses[pauses > 0]
    return Counter(column=name, pause=float(np.median(pauses)) if pauses.size else 1.0)
