"""Messages that have arrived from the brokers and are not stored yet, and read positions."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from aemon.sources.kafka.messages import Message

MOST_UNKEPT = 10_000
"""Maximum messages that wait to be stored; at this number the partitions are paused."""

MOST_UNKEPT_BYTES = 64 * 2**20
GO_ON_BELOW = 0.5  # share of the limits; to resume a partition is slow, as it is fetched again
PRESSING = MOST_UNKEPT // 5  # from this number on, messages are stored at once: not within 1 s

Partition = tuple[str, int]
"""A topic and the number of a partition."""


class Waiting:
    """The messages that are not stored yet, and the next offset of each partition.

    A position is the offset of the next message. A partition has three positions: after the
    messages handed over, after the stored messages, and the committed position.
    """

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._unkept = self._bytes = 0
        self._handed: dict[Partition, int] = {}
        self._kept: dict[Partition, int] = {}
        self._generations: dict[Partition, int] = {}
        self._dropped: dict[Partition, int] = {}  # waiting messages that the last `drop` dropped
        self._lost = 0
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        self._woken = False

    def remember(self, positions: Mapping[Partition, int], wake: Callable[[], None]) -> None:
        """Restore the positions of an earlier process.

        From now on, `wake` is called when many messages wait and should be taken at once.
        """
        self._handed.update(positions)
        self._wake = wake

    def put(self, messages: Sequence[Message]) -> None:
        """Add messages that have arrived."""
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
        """Hand over at most `limit` messages, oldest first.

        Returns:
            The messages, whether more messages wait, and how many messages were lost since the
            last call.
        """
        with self._lock:
            self._woken = False
            taken = [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]
            for one in taken:
                self._handed[one.topic, one.partition] = one.offset + 1
            lost, self._lost = self._lost, 0
            return taken, bool(self._messages), lost

    def done(self, messages: Sequence[Message]) -> None:
        """Mark messages as stored, so that their offsets may be committed."""
        with self._lock:
            self._unkept -= len(messages)
            self._bytes -= sum(map(_size, messages))
            for one in messages:
                name = (one.topic, one.partition)
                if one.generation == self._generations.get(name, 1):
                    self._kept[name] = one.offset + 1

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Drop the waiting messages of revoked partitions; keep messages already handed over."""
        with self._lock:
            for partition in set(partitions):
                self._dropped[partition] = self._drop({partition})

    def begin(self, partition: Partition, position: int, lost: int, generation: int = 1) -> None:
        """Continue a partition at a position.

        Args:
            partition: the partition.
            position: offset of the next message.
            lost: number of messages before the position that the brokers deleted unread.
            generation: number of the topic's generation. If it is new, the waiting messages of the
                old topic count as lost, because they cannot be read again.
        """
        with self._lock:
            dropped = self._drop({partition}) + self._dropped.pop(partition, 0)
            self._handed[partition] = position
            if generation != self._generations.get(partition, generation):
                lost += dropped
                self._kept.pop(partition, None)
            self._generations[partition] = generation
            self._lost += lost

    def position(self, partition: Partition) -> int | None:
        """Return the position after the messages handed over; None if it is unknown."""
        with self._lock:
            return self._handed.get(partition)

    def positions(self) -> dict[Partition, int]:
        """Return the position after the messages handed over, for each partition."""
        with self._lock:
            return dict(self._handed)

    def take_kept(self) -> dict[Partition, int]:
        """Return the positions to commit; each position is returned once."""
        with self._lock:
            kept, self._kept = self._kept, {}
            return kept

    def give_back(self, kept: Mapping[Partition, int]) -> None:
        """Take back positions that could not be committed, for the next `take_kept`."""
        with self._lock:
            self._kept = dict(kept) | self._kept

    def _drop(self, gone: set[Partition]) -> int:
        left = [one for one in self._messages if (one.topic, one.partition) not in gone]
        self._unkept -= len(self._messages) - len(left)
        self._bytes -= sum(map(_size, self._messages)) - sum(map(_size, left))
        dropped = len(self._messages) - len(left)
        self._messages = deque(left)
        return dropped

    @property
    def is_full(self) -> bool:
        """Whether too many messages wait, so that reading must pause."""
        return self._unkept >= MOST_UNKEPT or self._bytes >= MOST_UNKEPT_BYTES

    @property
    def has_room(self) -> bool:
        """Whether only few messages wait, so that paused reading may continue."""
        few = self._unkept <= MOST_UNKEPT * GO_ON_BELOW
        return few and self._bytes <= MOST_UNKEPT_BYTES * GO_ON_BELOW

    def __len__(self) -> int:
        return len(self._messages)


def note_of(
    group: str,
    cluster: str,
    positions: Mapping[Partition, int],
    generations: Mapping[str, Sequence[int | str]] | None = None,
) -> str:
    """Return a note for a later process: the position of each partition.

    `generations` are number and id of each topic's generation.
    """
    topics: dict[str, dict[str, int]] = {}
    for (topic, number), position in sorted(positions.items()):
        topics.setdefault(topic, {})[str(number)] = position
    note = {"group": group, "cluster": cluster, "next": topics, "topics": generations or {}}
    return json.dumps(note, separators=(",", ":"))


def noted_positions(notes: Sequence[str], group: str) -> tuple[str, dict[Partition, int]]:
    """Return the cluster and the positions of the newest note; empty for another group's note.

    >>> noted_positions([note_of("g", "c", {("t", 0): 7})], "g")
    ('c', {('t', 0): 7})
    """
    note = json.loads(notes[-1]) if notes else {}
    if note.get("group") != group:
        return "", {}
    positions = {
        (topic, int(number)): int(position)
        for topic, numbers in note.get("next", {}).items()
        for number, position in numbers.items()
    }
    return str(note.get("cluster", "")), positions


def _size(message: Message) -> int:
    return len(message.value or b"") + len(message.key or b"")
