"""Messages between the brokers and the store: how far each partition was read, noted and kept."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from aemon.sources.kafka.messages import Message

MOST_UNKEPT = 10_000
"""Messages that wait here to be kept; partitions are paused while there are so many."""

MOST_UNKEPT_BYTES = 64 * 2**20
GO_ON_BELOW = 0.5  # of these: a paused partition is fetched again from the broker, which costs
PRESSING = MOST_UNKEPT // 5  # so many wait: they are written now, not within a second

Partition = tuple[str, int]
"""A topic and the number of a partition."""


class Waiting:
    """Holds messages until they are kept, and knows the next offset of each partition.

    A position is the offset of the next message to read. Three are known of a partition: up to where
    messages were handed over, up to where they are kept, and what is committed to the group.
    """

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._unkept = self._bytes = 0
        self._handed: dict[Partition, int] = {}
        self._kept: dict[Partition, int] = {}
        self._lost = 0
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        self._woken = False

    def remember(self, positions: Mapping[Partition, int], wake: Callable[[], None]) -> None:
        """Take up the positions of an earlier process; call `wake` when messages should be taken."""
        self._handed.update(positions)
        self._wake = wake

    def put(self, messages: Sequence[Message]) -> None:
        """Add messages as they arrive."""
        with self._lock:
            for one in messages:
                self._messages.append(one)
                self._unkept += 1
                self._bytes += _size(one)
            wake = self._unkept >= PRESSING and not self._woken
            self._woken |= wake
        if wake:
            self._wake()

    def take(self, limit: int) -> tuple[list[Message], bool, int]:
        """Hand over at most `limit` messages, oldest first; whether there are more; how many are lost."""
        with self._lock:
            self._woken = False
            taken = [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]
            for one in taken:
                self._handed[one.topic, one.partition] = one.offset + 1
            lost, self._lost = self._lost, 0
            return taken, bool(self._messages), lost

    def done(self, messages: Sequence[Message]) -> None:
        """Let go of messages that are kept: their offsets may be committed."""
        with self._lock:
            self._unkept -= len(messages)
            self._bytes -= sum(map(_size, messages))
            for one in messages:
                self._kept[one.topic, one.partition] = one.offset + 1

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget messages of partitions that another member reads, unless they were handed over."""
        with self._lock:
            self._drop(set(partitions))

    def begin(self, partition: Partition, position: int, lost: int) -> None:
        """Go on in a partition from a position on, before which so many messages are lost."""
        with self._lock:
            self._drop({partition})
            self._handed[partition] = position
            self._lost += lost

    def position(self, partition: Partition) -> int | None:
        """Return up to where messages of a partition were handed over; None where it is unknown."""
        with self._lock:
            return self._handed.get(partition)

    def positions(self) -> dict[Partition, int]:
        """Return up to where messages of each partition were handed over."""
        with self._lock:
            return dict(self._handed)

    def take_kept(self) -> dict[Partition, int]:
        """Hand over the positions to commit, each once."""
        with self._lock:
            kept, self._kept = self._kept, {}
            return kept

    def give_back(self, kept: Mapping[Partition, int]) -> None:
        """Take back positions that could not be committed."""
        with self._lock:
            self._kept = dict(kept) | self._kept

    def _drop(self, gone: set[Partition]) -> None:
        left = [one for one in self._messages if (one.topic, one.partition) not in gone]
        self._unkept -= len(self._messages) - len(left)
        self._bytes -= sum(map(_size, self._messages)) - sum(map(_size, left))
        self._messages = deque(left)

    @property
    def is_full(self) -> bool:
        """Whether no more messages should come."""
        return self._unkept >= MOST_UNKEPT or self._bytes >= MOST_UNKEPT_BYTES

    @property
    def has_room(self) -> bool:
        """Whether messages may come again after there were too many."""
        few = self._unkept <= MOST_UNKEPT * GO_ON_BELOW
        return few and self._bytes <= MOST_UNKEPT_BYTES * GO_ON_BELOW

    def __len__(self) -> int:
        return len(self._messages)


def note_of(group: str, cluster: str, positions: Mapping[Partition, int]) -> str:
    """Return what a later process must know: up to where the messages of each partition are kept."""
    topics: dict[str, dict[str, int]] = {}
    for (topic, number), position in sorted(positions.items()):
        topics.setdefault(topic, {})[str(number)] = position
    told = {"group": group, "cluster": cluster, "next": topics}
    return json.dumps(told, separators=(",", ":"))


def noted_positions(notes: Sequence[str], group: str) -> tuple[str, dict[Partition, int]]:
    """Return the cluster and the positions of the newest note; nothing where it is of another group.

    >>> noted_positions([note_of("g", "c", {("t", 0): 7})], "g")
    ('c', {('t', 0): 7})
    """
    told = json.loads(notes[-1]) if notes else {}
    if told.get("group") != group:
        return "", {}
    positions = {
        (topic, int(number)): int(position)
        for topic, numbers in told.get("next", {}).items()
        for number, position in numbers.items()
    }
    return str(told.get("cluster", "")), positions


def _size(message: Message) -> int:
    return len(message.value or b"") + len(message.key or b"")
