"""Messages that have arrived and are not stored yet; each is acknowledged after it is stored."""

import hashlib
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_UNKEPT = 10_000
"""Largest number of messages that wait to be stored; with MQTT 5 the broker sends no more."""

MOST_UNKEPT_BYTES = 64 * 2**20
MOST_PAYLOAD = 2**20  # bytes; a longer payload is cut off, and its message is set aside
MOST_NAMES_OF_TAKEN = 2 * MOST_UNKEPT
PRESSING = {5: MOST_UNKEPT // 5, "3.1.1": 8}
"""Version of the protocol -> number of waiting messages that are stored without further delay.

Fewer messages are stored within a second. A broker stops sending after a certain number of
unacknowledged messages. With MQTT 5 aemon sets this number; with 3.1.1 it is unknown, and often 20
or 10."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker sent it.

    Attributes:
        topic: topic of the message.
        payload: content of the message, cut off after `MOST_PAYLOAD` plus one bytes.
        arrived: time of arrival.
        packet: number for the acknowledgement; 0 if the message needs no acknowledgement.
        connection: number of the connection on which the message arrived.
        again: whether the message arrived before; its content is then already stored or taken.
        name: packet number and a hash of topic and payload; empty if the message needs no
            acknowledgement.
    """

    topic: str
    payload: bytes
    arrived: datetime
    packet: int
    connection: int
    again: bool
    name: str


class Deliveries:
    """The messages that are not stored yet.

    While too many messages wait, the thread that adds messages must wait (back-pressure).

    If a connection ends before a message is acknowledged, the broker sends the message again, with
    the same packet number and a mark. If its content was already taken, the message makes no second
    record, and is only acknowledged.

    Args:
        acknowledge: function that sends the acknowledgement of a packet.
        version: version of the protocol.
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
        """Restore notes of an earlier process.

        From now on, `wake` is called when many messages wait and should be taken soon.
        """
        self._wake = wake
        for note in notes:
            for name in json.loads(note).get("taken", ()):
                self._name_taken(name)

    def connected(self, *, session_present: bool) -> None:
        """Begin a connection; without a session the broker sends no message a second time."""
        with self._sending, self._changed:
            self._connection += 1
            self._connected = True
            if not session_present:
                self._taken.clear()

    def disconnected(self) -> None:
        """End a connection: its unacknowledged messages can no longer be acknowledged."""
        with self._sending:
            self._connected = False

    def put(
        self, topic: str, payload: bytes, arrived: datetime, *, packet: int, resent: bool
    ) -> None:
        """Add a message, after a pause until there is room for it. After `close`, add nothing."""
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
        """Return at most `limit` messages, oldest first, and whether more messages wait."""
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
    """Return a note for a later process: the client id and the names of stored messages."""
    taken = [one.name for one in deliveries if one.name]
    return json.dumps({"client": client_id, "taken": taken}, separators=(",", ":"))


def client_of(notes: Sequence[str]) -> str:
    """Return the client id of this monitor at the broker, from its notes; empty without notes."""
    return str(json.loads(notes[-1]).get("client", "")) if notes else ""


def _digest(topic: str, payload: bytes) -> str:
    content = hashlib.blake2b(topic.encode(errors="replace"), digest_size=6)
    content.update(b"\0" + payload)
    return content.hexdigest()
