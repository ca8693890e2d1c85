"""A bounded queue for the items of a stream that have arrived and are not handed over yet.

A full queue drops its oldest item for each new item, and counts the dropped items as lost.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece(Generic[Item]):
    """The items of one `take`, oldest first; `more` and `lost` mean the same as in `Arrived`."""

    items: list[Item]
    more: bool
    lost: int


class Arrivals(Generic[Item]):
    """A queue between the threads of a stream and the thread that takes its records.

    Args:
        most: maximum number of items held. A full queue drops its oldest item for a new item, and
            counts the dropped item as lost.
    """

    def __init__(self, most: int) -> None:
        self._items: deque[Item] = deque(maxlen=most)
        self._lost = 0
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        """Add an item that has just arrived."""
        with self._lock:
            self._lost += len(self._items) == self._items.maxlen
            self._items.append(item)

    def take(self, limit: int) -> Piece[Item]:
        """Remove and return at most `limit` items, oldest first; report each lost item once."""
        with self._lock:
            items = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
            lost, self._lost = self._lost, 0
            return Piece(items=items, more=bool(self._items), lost=lost)
