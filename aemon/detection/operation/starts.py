"""Since when a condition has held, by entity: state that one fetch passes to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_SETTLED = 1_000
"""Most settled entities whose newest time is kept: those with the newest records."""

MOST_UNSETTLED = 10_000
"""Most idle or unsettled entities that are kept: those with the newest records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """State of an entity after its newest record.

    Attributes:
        newest: time of that record.
        holds: whether the condition holds.
        since: time at which it began to hold; None if unknown, or long enough ago.
    """

    newest: np.datetime64
    holds: bool
    since: np.datetime64 | None = None

    @property
    def settled(self) -> bool:
        """Whether the next record is judged, if the condition holds for it."""
        return self.holds and self.since is None


@dataclass(frozen=True, kw_only=True)
class Starts:
    """State of all entities; empty at first."""

    by_entity: Mapping[str, Start] = field(default_factory=dict)

    def with_newer(self, newer: Mapping[str, Start]) -> "Starts":
        """Return these states with newer states of some entities; the oldest beyond limits go."""
        kept = {name: start for name, start in self.by_entity.items() if name not in newer}
        found = kept | dict(newer)
        settled = [name for name, start in found.items() if start.settled]
        others = [name for name, start in found.items() if not start.settled]
        gone = {*settled[:-MOST_SETTLED], *others[:-MOST_UNSETTLED]}
        return Starts(by_entity={name: one for name, one in found.items() if name not in gone})

    def as_json(self) -> dict[str, list[Any]]:
        """Return entity -> time of its newest record, whether the condition holds, since when."""
        return {
            name: [str(start.newest), start.holds, *([str(start.since)] if start.since else [])]
            for name, start in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Starts":
        """Return what `as_json` wrote; empty if the value is invalid."""
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
