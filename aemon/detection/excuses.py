"""Excuses: records that are similar to a record with feedback `false_alarm`.

Feedback on a record holds for similar records: the same columns differ in the same direction by
about the same amount. It does not hold for other records, so it moves no threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.judgement import Contribution
from aemon.detection.similar_episodes import ALIKE, Pattern, likeness, signed_shares
from aemon.records import Identity

LEAST_GAP, MOST_GAP = 2 / 3, 1.5
"""Bounds of the ratio of two records' gaps in their first column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """The unusual part of a record, to be compared with that of another record.

    Attributes:
        entity: the entity of the record.
        column: the column most to blame.
        gap: observed less expected value of this column, in its own units; None if not numeric.
        observed: the observed value of this column.
        pattern: column -> signed share of the blame.
    """

    entity: str
    column: str
    gap: float | None
    observed: object
    pattern: Pattern

    def is_like(self, other: "Reason") -> bool:
        """Return whether another record of the same entity is unusual for the same reason.

        The same column is to blame first. Its gaps have the same sign and about the same size, or
        its values are the same text. The shares of all columns are similar.
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
    """Feedback on records that holds for similar records, too.

    Attributes:
        false_alarms: reasons of records with feedback `false_alarm`.
        confirmed: reasons of records with feedback `confirmed`.
        records: (entity, key) of the false alarms themselves, which are excused for any reason.
    """

    false_alarms: Sequence[Reason] = ()
    confirmed: Sequence[Reason] = ()
    records: frozenset[Identity] = frozenset()

    def cover(self, reason: Reason) -> bool:
        """Return whether a record is similar to a false alarm and to no confirmed anomaly."""
        return any(map(reason.is_like, self.false_alarms)) and not any(
            map(reason.is_like, self.confirmed)
        )


NO_EXCUSES = Excuses()


def reason_of(entity: str, contributions: Sequence[Contribution]) -> Reason | None:
    """Return the reason of a flagged record; None without contributions.

    Args:
        entity: the entity of the record.
        contributions: of its columns, the column most to blame first.
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
