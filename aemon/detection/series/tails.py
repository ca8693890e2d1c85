"""What the last records of each entity leave behind for those to come."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aemon.detection.arrays import Floats

MOST_ENTITIES = 1_000
"""Entities of which something is kept, those seen last."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Tail:
    """The last records of one entity, the newest last.

    Attributes:
        time: of the newest one.
        features: (K, F) of the last few.
        surprises: (S,) of the last ones.
    """

    time: np.datetime64
    features: Floats
    surprises: Floats


@dataclass(frozen=True, kw_only=True)
class Tails:
    """The last records of all entities; of nobody, to begin with."""

    by_entity: Mapping[str, Tail] = field(default_factory=dict)

    def with_newer(self, newer: Mapping[str, Tail]) -> "Tails":
        """Return these tails with the newer ones of some entities; the oldest of too many go."""
        kept = {name: tail for name, tail in self.by_entity.items() if name not in newer}
        found = kept | dict(newer)
        return Tails(by_entity={name: found[name] for name in list(found)[-MOST_ENTITIES:]})

    def as_json(self) -> dict[str, list[Any]]:
        """Return entity -> time, width of a record, features and surprises; exact to the last bit."""
        return {
            name: [
                str(tail.time),
                int(tail.features.shape[1]),
                _packed(tail.features),
                _packed(tail.surprises),
            ]
            for name, tail in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Tails":
        """Return what `as_json` wrote; of nobody if it is none."""
        found = {}
        try:
            for name, (time, width, features, surprises) in (noted or {}).items():
                tail = Tail(
                    time=np.datetime64(time, "us"),
                    features=_unpacked(features).reshape(-1, width),
                    surprises=_unpacked(surprises),
                )
                if np.isnat(tail.time) or not np.isfinite(tail.features).all():
                    return cls()
                if not np.isfinite(tail.surprises).all():
                    return cls()
                found[str(name)] = tail
        except (AttributeError, TypeError, ValueError):
            return cls()
        return cls(by_entity=found)


def _packed(numbers: Floats) -> str:
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _unpacked(text: str) -> Floats:
    found: Floats = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    return found.astype(np.float32)
