"""Reads a record's values from the topic and the payload of a message."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aemon.sources.json_paths import ABSENT, JsonPath, read_path, value_at
from aemon.sources.json_values import (
    NO_VALUE,
    ColumnNames,
    Reading,
    UnreadableMessageError,
    document_of,
    plain_members,
    plain_value_at,
    text_of,
)
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.mqtt.topics import TopicFilter

MOST_TOPICS = 10_000  # topics whose rules are cached


@dataclass(frozen=True, slots=True)
class _Rule:
    """The position of values in the messages of one topic filter, and their columns."""

    topic: TopicFilter
    level: int | None = None  # level of the topic that names the column
    column: str = ""  # column of a plain value
    paths: tuple[tuple[str, JsonPath], ...] = ()
    members: JsonPath | None = None  # path to an object; each of its plain members is a column

    @property
    def is_plain(self) -> bool:
        return self.level is not None or bool(self.column)


class MessageReader:
    """A reader of messages by the rules of a source's settings."""

    def __init__(self, settings: MqttSource) -> None:
        self._rules = [_rule(topic, values) for topic, values in settings.topics.items()]
        entity = settings.entity
        self._entity_level = entity if isinstance(entity, int) else None
        self._entity_path = read_path(entity) if isinstance(entity, str) else None
        self._time_path = read_path(settings.time) if settings.time else None
        self._key_path = read_path(settings.key) if settings.key else None
        self._names = ColumnNames()
        self._rules_by_topic: dict[str, list[_Rule]] = {}

    def takes(self, topic: str) -> bool:
        """Return whether a topic is configured; an old session may deliver other topics."""
        return bool(self._rules_of(topic))

    def read(self, topic: str, payload: bytes) -> Reading:
        """Return the values of a message.

        Raises:
            UnreadableMessageError: no value of the message can be read.
        """
        levels = topic.split("/")
        rules = self._rules_of(topic)
        text = text_of(payload)
        columns: dict[str, Any] = {}
        problems: set[str] = set()
        document: Any = ABSENT
        for rule in rules:
            if rule.is_plain:
                name = rule.column if rule.level is None else levels[rule.level]
                found: Iterator[tuple[str, Any]] = iter([(name, _plain_payload(text))])
            else:
                document = document_of(text) if document is ABSENT else document
                found = _found(rule, document)
            problems |= self._names.gather(found, columns)
        if not columns:
            raise UnreadableMessageError(min(problems, default=NO_VALUE))
        return Reading(
            entity=self._entity(levels, document),
            columns=columns,
            time=plain_value_at(self._time_path, document),
            key=plain_value_at(self._key_path, document),
            problems=frozenset(problems),
        )

    def _rules_of(self, topic: str) -> list[_Rule]:
        """Return the rules for a topic, cached for at most `MOST_TOPICS` topics."""
        rules = self._rules_by_topic.get(topic)
        if rules is None:
            levels = tuple(topic.split("/"))
            rules = [rule for rule in self._rules if rule.topic.matches(levels)]
            if len(self._rules_by_topic) >= MOST_TOPICS:
                self._rules_by_topic.clear()
            self._rules_by_topic[topic] = rules
        return rules

    def _entity(self, levels: list[str], document: Any) -> str:
        if self._entity_level is not None:
            return levels[self._entity_level]
        named = plain_value_at(self._entity_path, document)
        return "" if named is None else str(named)


def _rule(topic: str, values: int | str | dict[str, str]) -> _Rule:
    where = TopicFilter.of(topic)
    match values:
        case int():
            return _Rule(where, level=values)
        case str() if values.startswith("$"):
            return _Rule(where, members=read_path(values))
        case str():
            return _Rule(where, column=values)
    return _Rule(where, paths=tuple((name, read_path(path)) for name, path in values.items()))


def _found(rule: _Rule, document: Any) -> Iterator[tuple[str, Any]]:
    """Yield columns and their values; `ABSENT` if a path leads to no value."""
    if rule.members is None:
        for name, path in rule.paths:
            yield name, value_at(path, document)
        return
    yield from plain_members(rule.members, document)


def _plain_payload(text: str) -> Any:
    """Return the number, boolean or text of a plain payload; return text unchanged if not JSON.

    >>> [_plain_payload(text) for text in ("4.5", "true", "ON", '"a"', "NaN", "1,5 bar")]
    [4.5, True, 'ON', 'a', None, '1,5 bar']
    """
    if not text:
        raise UnreadableMessageError(NO_VALUE)
    try:
        return document_of(text)
    except UnreadableMessageError:
        return text
