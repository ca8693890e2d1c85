"""Excuses: anomalies are excused if they are similar to a record with feedback `false_alarm`.

Feedback on a record also applies to similar records: records in which the same columns differ in
the same direction by about the same amount. Feedback does not apply to other records, so feedback
changes no threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.judgement import Contribution
from aemon.detection.similar_episodes import ALIKE, Pattern, likeness, signed_shares
from aemon.records import Identity

LEAST_GAP, MOST_GAP = 2 / 3, 1.5
"""Least and largest ratio of the gaps of two similar records. A gap is the observed minus the
expected value of the column that is most to blame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """The reason why a record is unusual, for comparison with the reason of another record.

    Attributes:
        entity: entity of the record.
        column: the column that is most to blame.
        gap: observed minus expected value of this column, in the column's units; None if the
            values are not numbers.
        observed: the observed value of this column.
        pattern: column -> share of the blame, negative if the value is below the expected value.
    """

    entity: str
    column: str
    gap: float | None
    observed: object
    pattern: Pattern

    def is_like(self, other: "Reason") -> bool:
        """Return whether two records of the same entity are unusual for the same reason.

        The reason is the same if three conditions hold. The same column is most to blame. The gaps
        of this column have the same sign and about the same size, or its values are the same text.
        The shares of the blame of all columns are similar.
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
    """Feedback on records, in a form that can be applied to similar records.

    Attributes:
        false_alarms: reasons of records with feedback `false_alarm`.
        confirmed: reasons of records with feedback `confirmed`.
        records: (entity, key) of the records with feedback `false_alarm`; these records are excused
            whatever their reason is.
    """

    false_alarms: Sequence[Reason] = ()
    confirmed: Sequence[Reason] = ()
    records: frozenset[Identity] = frozenset()

    def cover(self, reason: Reason) -> bool:
        """Return whether a record is excused.

        A record is excused if it is similar to a false alarm, and not similar to a confirmed
        anomaly.
        """
        return any(map(reason.is_like, self.false_alarms)) and not any(
            map(reason.is_like, self.confirmed)
        )


NO_EXCUSES = Excuses()


def reason_of(entity: str, contributions: Sequence[Contribution]) -> Reason | None:
    """Return the reason why a flagged record is unusual; None without contributions.

    Args:
        entity: entity of the record.
        contributions: contributions of the record's columns, the column most to blame first.
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
