"""Steps: the times at which queries are evaluated. Each is a multiple of the step length."""

from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """A range of steps.

    Attributes:
        first: the first step, in seconds since 1970; a multiple of `seconds`.
        count: the number of steps.
        seconds: the time between two steps.
    """

    first: int
    count: int
    seconds: int

    @property
    def last(self) -> int:
        """The last step, in seconds since 1970."""
        return self.first + (self.count - 1) * self.seconds

    def place_of(self, moment: float) -> int | None:
        """Return the position, from 0, of the step nearest to a time; None if out of range."""
        place = round((moment - self.first) / self.seconds)
        return place if 0 <= place < self.count else None


def step_at(time: datetime, seconds: int) -> int:
    """Return the last step that is not after a time, in seconds since 1970.

    >>> step_at(datetime(1970, 1, 1, 0, 1, 44, tzinfo=UTC), 15)
    90
    """
    return int((time - _EPOCH).total_seconds() // seconds) * seconds


def time_of(step: int) -> datetime:
    """Return the time of a step."""
    return datetime.fromtimestamp(step, UTC)
