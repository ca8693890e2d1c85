"""Buckets: records at a steady pace, made from values that change at different times.

A bucket has the values that hold at its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MOST_AHEAD = timedelta(
    hours=1
)  # if a value is further ahead of the clock than this, its time is wrong
MOST_AT_ONCE = 10_000  # maximum buckets closed at once; if more are due, the machine slept

Cell = tuple[str, str]
"""An entity and a column."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed bucket of one entity.

    Attributes:
        entity: entity of the values.
        begin: the time at which the bucket begins.
        columns: column -> the value at the end of the bucket; None if the value is missing.
    """

    entity: str
    begin: datetime
    columns: dict[str, Any]


@dataclass(slots=True)
class _State:
    time: datetime
    value: Any


class Buckets:
    """Buckets made from changes of values.

    A bucket is closed when `wait` has passed after its end. The bucket then holds the last value of
    each cell up to its end. Without a connection the values are unknown, so a bucket is made only
    if the connection lasts from the bucket's beginning to its end.

    Args:
        every: length of a bucket.
        wait: time after the end of a bucket in which its values may still arrive.
        hold: how long a value counts if no newer value arrives; None: until the connection ends.
    """

    def __init__(self, every: timedelta, wait: timedelta, hold: timedelta | None) -> None:
        self._every, self._wait, self._hold = every, wait, hold
        self._states: dict[Cell, _State] = {}
        self._open: dict[datetime, dict[Cell, _State]] = {}
        self._next: datetime | None = None  # the bucket to close next
        self._first: datetime | None = None  # the first bucket of the connection

    def connect(self, now: datetime) -> None:
        """Begin a connection: the first bucket is the next bucket that begins after `now`."""
        self.disconnect()
        self._next = self._first = self._begin_of(now) + self._every

    def disconnect(self) -> None:
        """End a connection: drop all values, because they may change without a report."""
        self._states.clear()
        self._open.clear()
        self._next = self._first = None

    def put(self, cell: Cell, value: Any, time: datetime, now: datetime, *, first: bool) -> str:
        """Add a value; return the reason if the value does not count, otherwise an empty text.

        Args:
            cell: cell of the value.
            value: the value; None if it is missing.
            time: the time since which the value holds.
            now: the current time.
            first: whether this is the first report of the node; its value may be old.
        """
        if self._next is None or self._first is None:
            return ""
        if time > now + MOST_AHEAD and not first:
            self._states[cell] = _State(now, None)  # the earlier value no longer holds
            return "time_out_of_range"
        state = _State(min(time, now) if first else time, value)
        begin = self._begin_of(time)
        if first or begin < self._next:
            known = self._states.get(cell)
            if known is None or known.time <= time or first:
                self._states[cell] = state
            is_repeated = known is not None and known.time == time
            return "" if first or is_repeated or begin < self._first else "too_late"
        cells = self._open.setdefault(begin, {})
        if cell not in cells or cells[cell].time <= time:
            cells[cell] = state
        return ""

    def close(self, now: datetime) -> Iterator[Bucket]:
        """Yield the buckets that have ended, oldest first; each bucket is yielded once."""
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
        """The number of values in buckets that are not closed yet."""
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
