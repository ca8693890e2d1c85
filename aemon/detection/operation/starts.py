"""Stores, for each entity, when the operating condition began to hold; the next fetch needs this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_SETTLED = 1_000
"""Largest number of settled entities that are kept: the entities with the newest records."""

MOST_UNSETTLED = 10_000
"""Largest number of idle or unsettled entities that are kept: the entities with the newest
records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """State of an entity after its newest record.

    Attributes:
        newest: time of the newest record.
        holds: whether the condition holds for the newest record.
        since: time at which the condition began to hold; None if unknown, or if it has held for
            long enough.
    """

    newest: np.datetime64
    holds: bool
    since: np.datetime64 | None = None

    @property
    def settled(self) -> bool:
        """Whether the next record will be judged, if the condition holds for the next record."""
        return self.holds and self.since is None


@dataclass(frozen=True, kw_only=True)
class Starts:
    """States of all entities after their newest records; empty at first."""

    by_entity: Mapping[str, Start] = field(default_factory=dict)

    def with_newer(self, newer: Mapping[str, Start]) -> "Starts":
        """Return these states, updated with newer states of some entities.

        If there are more than `MOST_SETTLED` or `MOST_UNSETTLED` states, the oldest are left out.
        """
        kept = {name: start for name, start in self.by_entity.items() if name not in newer}
        found = kept | dict(newer)
        settled = [name for name, start in found.items() if start.settled]
        others = [name for name, start in found.items() if not start.settled]
        gone = {*settled[:-MOST_SETTLED], *others[:-MOST_UNSETTLED]}
        return Starts(by_entity={name: one for name, one in found.items() if name not in gone})

    def as_json(self) -> dict[str, list[Any]]:
        """Return entity -> [newest, holds, since], as in `Start`; without `since` if it is None."""
        return {
            name: [str(start.newest), start.holds, *([str(start.since)] if start.since else [])]
            for name, start in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Starts":
        """Return the states that `as_json` converted; empty if the value is invalid."""
        found = {}
        try:
            for name, (newest, holds, *since) in (noted or {}).items():
                times = [np.datetime64(time, "us") for time in (newest, *since[:1])]
                if any(np.isnat(time) for time in times):
                    return cls()
                start = Start(newest=times[0], holds=bool(holds), since=(*times, None)[1])
                found[str(name)] = start
        except (AttributeError, TypeError, ValueError):
            return cls()
        return cls(by_entity=found)
