"""Records like one that a person called a false alarm: excused, and nothing else is.

A word about a record says something about its like: the same columns off to the same side by about
as much. It says nothing about other records, so it moves no threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.judgement import Contribution
from aemon.detection.similar_episodes import ALIKE, Pattern, likeness, signed_shares
from aemon.records import Identity

LEAST_GAP, MOST_GAP = 2 / 3, 1.5
"""How much smaller or larger than the excused record's the gap of the first column may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """What was odd about a record, as far as another's may be like it.

    Attributes:
        entity: what the record belongs to.
        column: the column most to blame.
        gap: of that column from what was expected, in its own units; None where it is no number.
        observed: what it held.
        pattern: signed shares of the blame, by column.
    """

    entity: str
    column: str
    gap: float | None
    observed: object
    pattern: Pattern

    def is_like(self, other: "Reason") -> bool:
        """Whether another record of the same entity is odd for the same reason.

        The same column is to blame first, by a gap to the same side and of about the same size, or
        by the same word; and the shares of all columns are alike.
        """
        if (self.entity, self.column) != (other.entity, other.column):
            return False
        if likeness(self.pattern, other.pattern) < ALIKE:
            return False
        if self.gap is None or other.gap is None:
            return self.gap is other.gap and self.observed == other.observed
        if self.gap * other.gap <= 0:
            return self.gap == other.gap
        return LEAST_GAP <= self.gap / other.gap <= MOST_GAP


@dataclass(frozen=True, kw_only=True, slots=True)
class Excuses:
    """What people said of records, as far as it is about others too.

    Attributes:
        false_alarms: what was odd about records that were normal after all.
        confirmed: and about those that were anomalies.
        records: (entity, key) of the false alarms themselves, whatever is odd about them now.
    """

    false_alarms: Sequence[Reason] = ()
    confirmed: Sequence[Reason] = ()
    records: frozenset[Identity] = frozenset()

    def cover(self, reason: Reason) -> bool:
        """Whether a record is like one that was a false alarm, and like none that was confirmed."""
        return any(map(reason.is_like, self.false_alarms)) and not any(
            map(reason.is_like, self.confirmed)
        )


NO_EXCUSES = Excuses()


def reason_of(entity: str, contributions: Sequence[Contribution]) -> Reason | None:
    """Return what is odd about a flagged record; None where nothing is known of it.

    Args:
        entity: what the record belongs to.
        contributions: of its columns, the first one most to blame.
    """
    if not contributions:
        return None
    first = contributions[0]
    numbers = [
        float(value)
        for value in (first.observed, first.reconstructed)
        if isinstance(value, int | float)
    ]
    return Reason(
        entity=entity,
        column=first.column,
        gap=numbers[0] - numbers[1] if len(numbers) == len(("observed", "expected")) else None,
        observed=first.observed,
        pattern=signed_shares(contributions),
    )
