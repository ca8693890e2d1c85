"""Values that change one by one, as records of a steady pace: each bucket has the state at its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MOST_AHEAD = timedelta(hours=1)  # a value further ahead of the clock is a slip of one
MOST_AT_ONCE = 10_000  # buckets closed in one go; after a longer time nothing is known of them

Cell = tuple[str, str]
"""An entity and a column."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed bucket of one entity.

    Attributes:
        entity: whose.
        begin: of its time.
        columns: column -> the value at its end, None where it is missing.
    """

    entity: str
    begin: datetime
    columns: dict[str, Any]


@dataclass(slots=True)
class _State:
    time: datetime
    value: Any


class Buckets:
    """Turns changes of values into buckets.

    A bucket is closed once the clock is past its end and the wait. It then holds the last value of each
    cell up to its end. Nothing is known before the connection and after its end: no bucket is made
    of a time that the connection did not last through.

    Args:
        every: how long a bucket is.
        wait: so much longer values of its time may come.
        hold: how long a value counts without another one; None: as long as the connection lasts.
    """

    def __init__(self, every: timedelta, wait: timedelta, hold: timedelta | None) -> None:
        self._every, self._wait, self._hold = every, wait, hold
        self._states: dict[Cell, _State] = {}
        self._open: dict[datetime, dict[Cell, _State]] = {}
        self._next: datetime | None = None  # the bucket that is closed next
        self._first: datetime | None = None  # the one that was the first

    def connect(self, now: datetime) -> None:
        """Begin with the first bucket that the connection lasts through."""
        self.disconnect()
        self._next = self._first = self._begin_of(now) + self._every

    def disconnect(self) -> None:
        """Forget all values: nobody knows whether they still hold."""
        self._states.clear()
        self._open.clear()
        self._next = self._first = None

    def put(self, cell: Cell, value: Any, time: datetime, now: datetime, *, first: bool) -> str:
        """Take up a value; return why it does not count, empty where it does.

        Args:
            cell: whose value.
            value: None where it is missing.
            time: since when it holds.
            now: by the clock.
            first: the server reported it at the beginning, as what holds since some time.
        """
        if self._next is None or self._first is None:
            return ""
        if time > now + MOST_AHEAD and not first:
            self._states[cell] = _State(now, None)  # what held before does so no longer
            return "time_out_of_range"
        state = _State(min(time, now) if first else time, value)
        begin = self._begin_of(time)
        if first or begin < self._next:
            known = self._states.get(cell)
            if known is None or known.time <= time or first:
                self._states[cell] = state
            told_again = known is not None and known.time == time
            return "" if first or told_again or begin < self._first else "too_late"
        cells = self._open.setdefault(begin, {})
        if cell not in cells or cells[cell].time <= time:
            cells[cell] = state
        return ""

    def close(self, now: datetime) -> Iterator[Bucket]:
        """Return the buckets that are over, oldest first; each is returned once."""
        if self._next is not None and now - self._next > MOST_AT_ONCE * self._every:
            self._next = self._begin_of(now)  # this machine slept
            for begin in sorted(one for one in self._open if one < self._next):
                self._states.update(self._open.pop(begin))
        while self._next is not None and self._next + self._every + self._wait <= now:
            begin = self._next
            self._next = begin + self._every
            self._states.update(self._open.pop(begin, {}))
            yield from self._bucket(begin)

    @property
    def open_cells(self) -> int:
        """How many values wait in buckets that are not closed."""
        return sum(map(len, self._open.values()))

    def _bucket(self, begin: datetime) -> Iterator[Bucket]:
        by_entity: dict[str, dict[str, Any]] = {}
        end = begin + self._every
        for (entity, column), state in self._states.items():
            held = self._hold is None or end - state.time <= self._hold + self._every
            by_entity.setdefault(entity, {})[column] = state.value if held else None
        for entity, columns in by_entity.items():
            if any(value is not None for value in columns.values()):
                yield Bucket(entity, begin, columns)

    def _begin_of(self, time: datetime) -> datetime:
        return time - (time - _EPOCH) % self._every
