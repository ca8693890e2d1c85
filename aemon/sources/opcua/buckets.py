"""Records at a steady pace from values that change one by one, as buckets.

A bucket has the values that hold at its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MOST_AHEAD = timedelta(hours=1)  # a value further ahead of the clock has a wrong time
MOST_AT_ONCE = 10_000  # buckets closed at once; if there are more, the machine slept

Cell = tuple[str, str]
"""An entity and a column."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed bucket of one entity.

    Attributes:
        entity: to which the values belong.
        begin: the time at which the bucket begins.
        columns: column -> the value at its end; None if it is missing.
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

    A bucket is closed once the clock is past its end plus the wait. It then holds the last value of
    each cell up to its end. Values are unknown before and after a connection, so a bucket is made
    only if the connection lasts from its beginning to its end.

    Args:
        every: length of a bucket.
        wait: time after the end of a bucket in which its values may still arrive.
        hold: how long a value counts without a newer value; None: as long as the connection lasts.
    """

    def __init__(self, every: timedelta, wait: timedelta, hold: timedelta | None) -> None:
        self._every, self._wait, self._hold = every, wait, hold
        self._states: dict[Cell, _State] = {}
        self._open: dict[datetime, dict[Cell, _State]] = {}
        self._next: datetime | None = None  # the bucket that is closed next
        self._first: datetime | None = None  # the first bucket of the connection

    def connect(self, now: datetime) -> None:
        """Begin with the first bucket that begins after `now`."""
        self.disconnect()
        self._next = self._first = self._begin_of(now) + self._every

    def disconnect(self) -> None:
        """Forget all values, because it is unknown whether they still hold."""
        self._states.clear()
        self._open.clear()
        self._next = self._first = None

    def put(self, cell: Cell, value: Any, time: datetime, now: datetime, *, first: bool) -> str:
        """Add a value; return the reason why it does not count, or an empty text.

        Args:
            cell: to which the value belongs.
            value: None if it is missing.
            time: since when the value holds.
            now: the time by the clock.
            first: whether it is the first report of the node, which may hold since long ago.
        """
        if self._next is None or self._first is None:
            return ""
        if time > now + MOST_AHEAD and not first:
            self._states[cell] = _State(now, None)  # the value before it no longer holds
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
        """Yield the buckets that are over, oldest first; each is yielded once."""
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
