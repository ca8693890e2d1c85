"""Messages between the broker and the store: acknowledged once they are kept, each taken once."""

import hashlib
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_UNKEPT = 10_000
"""Messages that wait here to be kept; the broker is asked to send no more before (MQTT 5)."""

MOST_UNKEPT_BYTES = 64 * 2**20
MOST_PAYLOAD = 2**20  # bytes; what is longer is cut off, and set aside
MOST_NAMES_OF_TAKEN = 2 * MOST_UNKEPT
PRESSING = {5: MOST_UNKEPT // 5, "3.1.1": 8}
"""So many wait: they are written now, not within a second. The number of unacknowledged messages
after which a broker sends no more is ours with MQTT 5; with 3.1.1 it is unknown, and often 20 or 10."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker sent it.

    Attributes:
        topic: where it was published.
        payload: its content, cut off at `MOST_PAYLOAD` and one byte.
        arrived: when it came.
        packet: the number by which it is acknowledged; 0 where it need not be.
        connection: the number of the connection on which it came.
        again: whether it came before, so that its content is kept or on its way.
        name: the packet and a hash of topic and payload; empty where it need not be acknowledged.
    """

    topic: str
    payload: bytes
    arrived: datetime
    packet: int
    connection: int
    again: bool
    name: str


class Deliveries:
    """Holds messages until they are kept; when there are too many, reading waits (back-pressure).

    A message that was not acknowledged when a connection ended is sent again, with the same number
    and marked as such. Where its content was taken before, only the acknowledgement is made good.

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
        """Take up what an earlier process noted, and call `wake` when messages are to be taken soon."""
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
        """End a connection: what came on it can no longer be acknowledged."""
        with self._sending:
            self._connected = False

    def put(
        self, topic: str, payload: bytes, arrived: datetime, *, packet: int, resent: bool
    ) -> None:
        """Add a message; wait while there are too many. After the end nothing is added."""
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
        """Hand over at most `limit` messages, oldest first, and say whether there are more."""
        with self._changed:
            self._woken = False
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            return taken, bool(self._waiting)

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge messages that are kept, in the order in which they came."""
        with self._changed:
            self._unkept -= len(deliveries)
            self._bytes -= sum(len(one.payload) for one in deliveries)
            self._changed.notify_all()
        with self._sending:
            for one in deliveries:
                if self._connected and one.packet and one.connection == self._connection:
                    self._acknowledge(one.packet)

    def close(self) -> None:
        """Let go of a thread that waits to add a message."""
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
    """Return what a later process must know of messages that are kept."""
    taken = [one.name for one in deliveries if one.name]
    return json.dumps({"client": client_id, "taken": taken}, separators=(",", ":"))


def client_of(notes: Sequence[str]) -> str:
    """Return by which name the broker knows this monitor; empty where no note says it."""
    return str(json.loads(notes[-1]).get("client", "")) if notes else ""


def _digest(topic: str, payload: bytes) -> str:
    content = hashlib.blake2b(topic.encode(errors="replace"), digest_size=6)
    content.update(b"\0" + payload)
    return content.hexdigest()
