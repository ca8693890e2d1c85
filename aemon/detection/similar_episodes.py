"""Which earlier episode a new one looks like: the same columns, off to the same sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from aemon.detection.judgement import Contribution, Value
from aemon.records import similar_episode_text

Pattern = Mapping[str, float]
"""Column -> its shares of the blame, summed over anomalies; below the expectation negative."""

ALIKE = 0.9
"""Episodes of this likeness or more show the same fault. Measured (a test repeats it): of 450 pairs
of one fault at several strengths nine in ten are more alike, of pairs of different faults one in
fifty, nearly all of them a stuck sensor beside that sensor off to one side. The codes of the peaks
do not help: they tell at which load the fault struck, and only one in ten would be found again."""

NEARLY = 0.02
"""Episodes whose likenesses differ by less are equally alike: a labelled one says more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """An earlier episode, as far as another may be like it."""

    id: int
    pattern: Pattern
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """The earlier episode that one looks like; `likeness` is 1 where they are the same."""

    id: int
    label: str
    likeness: float

    def __str__(self) -> str:
        return similar_episode_text(self.id, self.label)


def signed_shares(contributions: Sequence[Contribution]) -> dict[str, float]:
    """A record's shares of the blame by column, negative where a number is below expectation."""
    return {
        part.column: -part.share if _is_below(part.observed, part.reconstructed) else part.share
        for part in contributions
    }


def likeness(one: Pattern, other: Pattern) -> float:
    """The cosine of two patterns: 1 for the same, -1 for the opposite, 0 for nothing in common.

    >>> likeness({"flow": -3.0, "pressure": -4.0}, {"flow": -6.0, "pressure": -8.0})
    1.0
    """
    sizes = hypot(*one.values()) * hypot(*other.values())
    product = sum(share * other.get(column, 0.0) for column, share in one.items())
    return max(-1.0, min(1.0, product / sizes)) if sizes else 0.0


def most_like(pattern: Pattern, earlier: Sequence[Earlier]) -> Like | None:
    """The episode that a pattern shows again, if there is one; the newest of several.

    Args:
        pattern: of the episode in question.
        earlier: others, newest first.
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
