"""Similar episodes: the same columns, deviating in the same directions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from aemon.detection.judgement import Contribution, Value
from aemon.records import similar_episode_text

Pattern = Mapping[str, float]
"""Column -> sum over anomalies of its shares of the blame; negative below the expectation."""

ALIKE = 0.9
"""Episodes of this likeness or more show the same fault. Measured (a test repeats it): of 450 pairs
of one fault at several strengths nine in ten are more alike. Of pairs of different faults it is one
in fifty, nearly all of them a stuck sensor against an offset of that sensor. The codes of the peaks do
not help: they depend on the load at the fault, so that only one in ten would be found again."""

NEARLY = 0.02
"""Episodes whose likenesses differ by less are equally alike; a labelled episode is preferred."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """An earlier episode, for comparison."""

    id: int
    pattern: Pattern
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """The earlier episode that a new episode looks like; `likeness` is 1 for the same pattern."""

    id: int
    label: str
    likeness: float

    def __str__(self) -> str:
        return similar_episode_text(self.id, self.label)


def signed_shares(contributions: Sequence[Contribution]) -> dict[str, float]:
    """Return a record's shares of the blame by column, negative for numbers below expectation."""
    return {
        part.column: -part.share if _is_below(part.observed, part.reconstructed) else part.share
        for part in contributions
    }


def likeness(one: Pattern, other: Pattern) -> float:
    """Return the cosine of two patterns: 1 if equal, -1 if opposite, 0 with nothing in common.

    >>> likeness({"flow": -3.0, "pressure": -4.0}, {"flow": -6.0, "pressure": -8.0})
    1.0
    """
    sizes = hypot(*one.values()) * hypot(*other.values())
    product = sum(share * other.get(column, 0.0) for column, share in one.items())
    return max(-1.0, min(1.0, product / sizes)) if sizes else 0.0


def most_like(pattern: Pattern, earlier: Sequence[Earlier]) -> Like | None:
    """Return the earlier episode with the same pattern; the newest if there are several.

    Args:
        pattern: pattern of the new episode.
        earlier: earlier episodes, newest first.
    """
    found = [
        Like(id=one.id, label=one.label, likeness=likeness(pattern, one.pattern)) for one in earlier
    ]
    best = max((like.likeness for like in found), default=0.0)
    equals = [like for like in found if like.likeness >= max(ALIKE, best - NEARLY)]
    return max(equals, key=lambda like: bool(like.label), default=None)


def _is_below(observed: Value, expected: Value) -> bool:
    numbers = [
        value
        for value in (observed, expected)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return len(numbers) == len((observed, expected)) and numbers[0] < numbers[1]
