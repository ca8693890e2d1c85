"""Tails: the last records of each entity, which are kept as context for the next records."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats
from aemon.detection.series.levels import LevelTail

MOST_ENTITIES = 1_000
"""Largest number of entities whose tails are kept: the entities with the newest records."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Tail:
    """The last records of one entity, the newest last.

    Attributes:
        time: time of the newest record.
        features: (K, F) features of the last K records, or numbers of F columns.
        surprises: (S,) surprises of the last S records.
        level: sums over the last blocks of time, for the level; None if levels are not used.
    """

    time: np.datetime64
    features: npt.NDArray[np.floating[Any]]
    surprises: Floats
    level: LevelTail | None = None


@dataclass(frozen=True, kw_only=True)
class Tails:
    """The tails of all entities; empty at first."""

    by_entity: Mapping[str, Tail] = field(default_factory=dict)

    def with_newer(self, newer: Mapping[str, Tail]) -> "Tails":
        """Return these tails, updated with newer tails of some entities.

        If there are more than `MOST_ENTITIES` tails, the oldest are left out.
        """
        kept = {name: tail for name, tail in self.by_entity.items() if name not in newer}
        found = kept | dict(newer)
        return Tails(by_entity={name: found[name] for name in list(found)[-MOST_ENTITIES:]})

    def without(self, halted: Mapping[str, np.datetime64]) -> "Tails":
        """Return these tails without the tails of entities that stopped after their last record.

        Args:
            halted: entity -> time at which the entity stopped.
        """
        if not halted:
            return self
        kept = {
            name: tail
            for name, tail in self.by_entity.items()
            if name not in halted or tail.time > halted[name]
        }
        return Tails(by_entity=kept)

    def as_json(self) -> dict[str, list[Any]]:
        """Return entity -> [time, number of features, features, surprises, sums for the level].

        Numbers are stored exactly, to the last bit.
        """
        return {
            name: [
                str(tail.time),
                int(tail.features.shape[1]),
                _packed(tail.features),
                _packed(tail.surprises),
                *_level_packed(tail.level),
            ]
            for name, tail in self.by_entity.items()
        }

    @classmethod
    def from_json(cls, noted: Any) -> "Tails":
        """Return the tails that `as_json` converted; empty tails if the value is invalid."""
        found = {}
        try:
            for name, (time, width, features, surprises, *level) in (noted or {}).items():
                tail = Tail(
                    time=np.datetime64(time, "us"),
                    features=_unpacked(features).reshape(-1, width),
                    surprises=_unpacked(surprises),
                    level=_level_from(*level) if level else None,
                )
                if np.isnat(tail.time) or not np.isfinite(tail.features).all():
                    return cls()
                if not np.isfinite(tail.surprises).all():
                    return cls()
                found[str(name)] = tail
        except (AttributeError, OverflowError, TypeError, ValueError):
            return cls()
        return cls(by_entity=found)


def _level_packed(level: LevelTail | None) -> list[Any]:
    if level is None:
        return []
    return [level.blocks.tolist(), level.counts.tolist(), _packed(level.sums, "<f8")]


def _level_from(blocks: list[int], counts: list[float], sums: str) -> LevelTail:
    """Return the sums for a level that `_level_packed` wrote.

    Raises:
        ValueError: the stored numbers have wrong shapes, or are not finite.
    """
    numbers = np.array(blocks, dtype=np.int64)
    found = LevelTail(
        blocks=numbers,
        counts=np.array(counts, dtype=np.float64),
        sums=_unpacked(sums, "<f8").reshape(len(numbers), -1),
    )
    if found.counts.shape != numbers.shape or numbers.ndim != 1 or not len(numbers):
        raise ValueError("the stored sums for a level differ in length from their block numbers")
    if not (np.isfinite(found.counts).all() and np.isfinite(found.sums).all()):
        raise ValueError("the stored sums for a level are not finite")
    return found


def _packed(numbers: npt.NDArray[np.floating], kind: str = "<f4") -> str:
    return base64.b64encode(numbers.astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str = "<f4") -> npt.NDArray[Any]:
    found = np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
    return found.astype(found.dtype.newbyteorder("="))
