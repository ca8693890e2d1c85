"""The values of a record from a message."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from aemon.sources.json_paths import ABSENT, JsonPath, read_path, value_at
from aemon.sources.json_values import (
    NO_VALUE,
    NOT_PLAIN,
    TOO_MANY_COLUMNS,
    ColumnNames,
    UnreadableMessageError,
    document_of,
    number_in_range,
    plain_members,
    text_of,
)
from aemon.sources.kafka.places import HEADERS, KEY, PARTITION, TIMESTAMP, TOPIC, Place, read_place
from aemon.sources.kafka.settings import KafkaSource


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the broker sent it.

    Attributes:
        topic: to which it was written.
        partition: of the topic.
        offset: its number in the partition.
        key: its key; None if it has no key.
        value: its value; None if it has no value (a tombstone).
        headers: pairs of name and content.
        timestamp: when it was made, or written by the broker; the time of arrival if it has none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: datetime

    @property
    def name(self) -> str:
        """The topic, partition and offset, which identify the message in its cluster."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one message.

    Attributes:
        entity: to which the message belongs; empty if the settings name none.
        columns: column -> value: a number, a boolean, text, or None if it is missing.
        time: the event time as the message writes it.
        key: the key of the record; None if it is missing.
        problems: reasons why some columns could not be read although others could.
    """

    entity: str
    columns: dict[str, Any]
    time: Any
    key: Any
    problems: frozenset[str] = field(default_factory=frozenset)


class MessageReader:
    """A reader of messages by the settings of a source.

    Args:
        settings: of the source.
        decode: decodes a value to a document, or raises `UnreadableMessageError`; default JSON.
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
        problems: set[str] = set()
        for name, value in found:
            if value is ABSENT or isinstance(value, dict | list):
                problems |= set() if value is ABSENT else {NOT_PLAIN}
            elif self._names.accept(name):
                columns[name] = number_in_range(value)
            else:
                problems.add(TOO_MANY_COLUMNS)
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
    """The parts of a message; parts that few configurations use are read only if needed."""

    def __init__(self, message: Message, value: Any) -> None:
        self._message = message
        self.value = value

    def at(self, place: Place) -> Any:
        """Return the value at a place; `ABSENT` if there is none."""
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
        """Return the plain value at a place; None if there is none."""
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
    """Return the text of the last header with a name; `ABSENT` if there is none."""
    for known, content in reversed(message.headers):
        if known == name and content is not None:
            return content.decode(errors="backslashreplace")
    return ABSENT
