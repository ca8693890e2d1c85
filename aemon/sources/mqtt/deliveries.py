"""Messages between the broker and the store: acknowledged once stored, and each taken once."""

import hashlib
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_UNKEPT = 10_000
"""Messages that may wait here to be stored; with MQTT 5 the broker sends no more than these."""

MOST_UNKEPT_BYTES = 64 * 2**20
MOST_PAYLOAD = 2**20  # bytes; a longer payload is cut off, and its message set aside
MOST_NAMES_OF_TAKEN = 2 * MOST_UNKEPT
PRESSING = {5: MOST_UNKEPT // 5, "3.1.1": 8}
"""Number of waiting messages, by version, from which they are stored at once, not within a second.
A broker sends no more after a number of unacknowledged messages. With MQTT 5 aemon sets this
number; with 3.1.1 it is unknown, and often 20 or 10."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker sent it.

    Attributes:
        topic: of the message.
        payload: its content, cut off after `MOST_PAYLOAD` plus one bytes.
        arrived: time of arrival.
        packet: the number by which it is acknowledged; 0 if it needs no acknowledgement.
        connection: the number of the connection on which it arrived.
        again: whether it arrived before, so that its content is already stored or taken.
        name: the packet and a hash of topic and payload; empty if it needs no acknowledgement.
    """

    topic: str
    payload: bytes
    arrived: datetime
    packet: int
    connection: int
    again: bool
    name: str


class Deliveries:
    """The messages that are not stored yet; when there are too many, reading waits (back-pressure).

    A message that was not acknowledged when a connection ended is sent again, with the same number
    and marked as sent again. If its content was taken before, it is only acknowledged.

    Args:
        acknowledge: sends the acknowledgement of a packet.
        version: of the protocol.
    """

    def __init__(self, acknowledge: Callable[[int], object], version: int | str) -> None:
        self._acknowledge = acknowledge
        self._pressing = PRESSING[version]
        self._waiting: deque[Delivery] = deque()
        self._unkept = self._bytes = 0
        self._taken: OrderedDict[int, str] = OrderedDict()  # packet -> name, the newest last
        self._connection, self._connected, self._closed = 0, False, False
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        self._woken = False

    def remember(self, notes: Iterable[str], wake: Callable[[], None]) -> None:
        """Restore notes of an earlier process; call `wake` when messages should be taken soon."""
        self._wake = wake
        for note in notes:
            for name in json.loads(note).get("taken", ()):
                self._name_taken(name)

    def connected(self, *, session_present: bool) -> None:
        """Begin a connection; without a session the broker sends nothing again."""
        with self._sending, self._changed:
            self._connection += 1
            self._connected = True
            if not session_present:
                self._taken.clear()

    def disconnected(self) -> None:
        """End a connection: messages that arrived on it can no longer be acknowledged."""
        with self._sending:
            self._connected = False

    def put(
        self, topic: str, payload: bytes, arrived: datetime, *, packet: int, resent: bool
    ) -> None:
        """Add a message; wait while there are too many. After `close` nothing is added."""
        payload = payload[: MOST_PAYLOAD + 1]
        name = f"{packet}:{_digest(topic, payload)}" if packet else ""
        with self._changed:
            while not self._closed and self._is_full():
                self._changed.wait()
            if self._closed:
                return
            again = resent and self._taken.get(packet) == name
            if packet:
                self._name_taken(name)
            self._waiting.append(
                Delivery(topic, payload, arrived, packet, self._connection, again, name)
            )
            self._unkept += 1
            self._bytes += len(payload)
            wake = self._unkept >= self._pressing and not self._woken
            self._woken |= wake
        if wake:
            self._wake()

    def take(self, limit: int) -> tuple[list[Delivery], bool]:
        """Hand over at most `limit` messages, oldest first, and return whether there are more."""
        with self._changed:
            self._woken = False
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            return taken, bool(self._waiting)

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge messages that are stored, in the order of their arrival."""
        with self._changed:
            self._unkept -= len(deliveries)
            self._bytes -= sum(len(one.payload) for one in deliveries)
            self._changed.notify_all()
        with self._sending:
            for one in deliveries:
                if self._connected and one.packet and one.connection == self._connection:
                    self._acknowledge(one.packet)

    def close(self) -> None:
        """Release a thread that waits to add a message."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._unkept >= MOST_UNKEPT or self._bytes >= MOST_UNKEPT_BYTES

    def _name_taken(self, name: str) -> None:
        packet = int(name.partition(":")[0])
        self._taken.pop(packet, None)
        self._taken[packet] = name
        if len(self._taken) > MOST_NAMES_OF_TAKEN:
            self._taken.popitem(last=False)


def note_of(client_id: str, deliveries: Iterable[Delivery]) -> str:
    """Return a note for a later process about messages that are stored."""
    taken = [one.name for one in deliveries if one.name]
    return json.dumps({"client": client_id, "taken": taken}, separators=(",", ":"))


def client_of(notes: Sequence[str]) -> str:
    """Return the client id of this monitor at the broker; empty if there is no note."""
    return str(json.loads(notes[-1]).get("client", "")) if notes else ""


def _digest(topic: str, payload: bytes) -> str:
    content = hashlib.blake2b(topic.encode(errors="replace"), digest_size=6)
    content.update(b"\0" + payload)
    return content.hexdigest()
