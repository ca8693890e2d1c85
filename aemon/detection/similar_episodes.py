"""Finds similar episodes: episodes in which the same columns deviate in the same directions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from aemon.detection.judgement import Contribution, Value
from aemon.records import similar_episode_text

Pattern = Mapping[str, float]
"""Column -> sum of its shares of the blame over all anomalies of an episode.

The share of a value below the expected value is negative.
"""

ALIKE = 0.9
"""Two episodes with this likeness or more show the same fault.

A test repeats the measurement. Of 450 pairs of episodes of the same fault at several strengths,
nine in ten exceed this likeness. Of the pairs of different faults, one in fifty exceeds this
likeness; nearly all of these pairs are a stuck sensor and an offset of the same sensor. A
comparison by the codes of the peak records does not help: codes depend on the load during the
fault, and only one fault in ten would be found again.
"""

NEARLY = 0.02
"""If the likenesses of two earlier episodes differ by less than this, a labelled episode is
preferred."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """An earlier episode, with which a new episode is compared."""

    id: int
    pattern: Pattern
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """An earlier episode that is similar to a new episode; `likeness` is 1 for equal patterns."""

    id: int
    label: str
    likeness: float

    def __str__(self) -> str:
        return similar_episode_text(self.id, self.label)


def signed_shares(contributions: Sequence[Contribution]) -> dict[str, float]:
    """Return column -> share of the blame, negative if a number is below its expected value."""
    return {
        part.column: -part.share if _is_below(part.observed, part.reconstructed) else part.share
        for part in contributions
    }


def likeness(one: Pattern, other: Pattern) -> float:
    """Return the cosine of the angle between two patterns.

    The cosine is 1 for equal patterns, -1 for opposite patterns, and 0 without a common column.

    >>> likeness({"flow": -3.0, "pressure": -4.0}, {"flow": -6.0, "pressure": -8.0})
    1.0
    """
    sizes = hypot(*one.values()) * hypot(*other.values())
    product = sum(share * other.get(column, 0.0) for column, share in one.items())
    return max(-1.0, min(1.0, product / sizes)) if sizes else 0.0


def most_like(pattern: Pattern, earlier: Sequence[Earlier]) -> Like | None:
    """Return the earlier episode that is most similar to a new episode; None if none is similar.

    Of several equally similar episodes, a labelled episode is preferred, then the newest episode.

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
