"""Steps: the times at which queries are evaluated, which are multiples of their length."""

from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """A range of steps.

    Attributes:
        first: the first one, in seconds since 1970; a multiple of `seconds`.
        count: how many there are.
        seconds: from one to the next.
    """

    first: int
    count: int
    seconds: int

    @property
    def last(self) -> int:
        """The last one, in seconds since 1970."""
        return self.first + (self.count - 1) * self.seconds

    def place_of(self, moment: float) -> int | None:
        """Return the place of a time among the steps, from 0; None where it is none of them."""
        place = round((moment - self.first) / self.seconds)
        return place if 0 <= place < self.count else None


def step_at(time: datetime, seconds: int) -> int:
    """Return the last step up to a time, in seconds since 1970.

    >>> step_at(datetime(1970, 1, 1, 0, 1, 44, tzinfo=UTC), 15)
    90
    """
    return int((time - _EPOCH).total_seconds() // seconds) * seconds


def time_of(step: int) -> datetime:
    """Return the time of a step."""
    return datetime.fromtimestamp(step, UTC)
