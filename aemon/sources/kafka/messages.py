"""Messages of Kafka, and the reading of a record's values from a message."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from aemon.sources.json_paths import ABSENT, JsonPath, read_path, value_at
from aemon.sources.json_values import (
    NO_VALUE,
    ColumnNames,
    Reading,
    UnreadableMessageError,
    document_of,
    plain_members,
    text_of,
)
from aemon.sources.kafka.places import HEADERS, KEY, PARTITION, TIMESTAMP, TOPIC, Place, read_place
from aemon.sources.kafka.settings import KafkaSource


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the broker sent it.

    Attributes:
        topic: topic of the message.
        partition: number of the partition in the topic.
        offset: number of the message in the partition.
        key: key of the message; None if there is no key.
        value: value of the message; None if there is no value (a tombstone).
        headers: pairs of name and content.
        timestamp: when the message was made, or written by the broker; its time of arrival if the
            message has no timestamp.
        generation: number of the topic's generation: 2 if the topic was deleted and made again once.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: datetime
    generation: int = 1

    @property
    def name(self) -> str:
        """The topic, partition and offset, and from the second one on the topic's generation.

        Together they identify the message. No topic has a name with #.
        """
        again = f"#{self.generation}" if self.generation > 1 else ""
        return f"{self.topic}{again}/{self.partition}/{self.offset}"


class MessageReader:
    """A reader that takes the values of records from messages.

    Args:
        settings: settings of the source.
        decode: function that decodes a message's value to a document, or raises
            `UnreadableMessageError`; the default decodes JSON.
    """

    def __init__(self, settings: KafkaSource, decode: Callable[[bytes], Any] | None = None) -> None:
        values = settings.values
        self._members: JsonPath | None = read_path(values) if isinstance(values, str) else None
        self._places = (
            {name: read_place(text) for name, text in values.items()}
            if isinstance(values, Mapping)
            else {}
        )
        self._entity = read_place(settings.entity) if settings.entity is not None else None
        self._time = read_place(settings.time)
        self._key = read_place(settings.key) if settings.key is not None else None
        self._decode = decode or (lambda value: document_of(text_of(value)))
        self._names = ColumnNames()

    def read(self, message: Message) -> Reading:
        """Return the values of a message.

        Raises:
            UnreadableMessageError: no value of the message can be read.
        """
        if message.value is None:
            raise UnreadableMessageError(NO_VALUE)
        parts = _Parts(message, self._decode(message.value))
        found = (
            plain_members(self._members, parts.value)
            if self._members is not None
            else ((name, parts.at(place)) for name, place in self._places.items())
        )
        columns: dict[str, Any] = {}
        problems = self._names.gather(found, columns)
        if not columns:
            raise UnreadableMessageError(min(problems, default=NO_VALUE))
        entity = parts.plain(self._entity)
        return Reading(
            entity="" if entity is None else str(entity),
            columns=columns,
            time=parts.plain(self._time),
            key=message.name if self._key is None else parts.plain(self._key),
            problems=frozenset(problems),
        )


class _Parts:
    """The parts of a message. Parts that few configurations use are decoded only when needed."""

    def __init__(self, message: Message, value: Any) -> None:
        self._message = message
        self.value = value

    def at(self, place: Place) -> Any:
        """Return the value at a place; `ABSENT` if the message has no value there."""
        message = self._message
        match place.part:
            case part if part == KEY:
                document = self._key_document if place.path else self._key_text
                return value_at(place.path, document)
            case part if part == HEADERS:
                return _header(message, str(place.path[0]))
            case part if part == TIMESTAMP:
                return message.timestamp
            case part if part == TOPIC:
                return message.topic
            case part if part == PARTITION:
                return message.partition
        return value_at(place.path, self.value)

    def plain(self, place: Place | None) -> Any:
        """Return the plain value at a place; None if the message has no plain value there."""
        value = ABSENT if place is None else self.at(place)
        return None if value is ABSENT or isinstance(value, dict | list) else value

    @cached_property
    def _key_text(self) -> Any:
        key = self._message.key
        return ABSENT if key is None else key.decode(errors="backslashreplace")

    @cached_property
    def _key_document(self) -> Any:
        try:
            return document_of(text_of(self._message.key or b""))
        except UnreadableMessageError:
            return ABSENT


def _header(message: Message, name: str) -> Any:
    """Return the text of the last header with a name; `ABSENT` if there is no such header."""
    for known, content in reversed(message.headers):
        if known == name and content is not None:
            return content.decode(errors="backslashreplace")
    return ABSENT
