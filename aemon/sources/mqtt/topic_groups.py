"""Groups of topics for a first configuration, with the guessed columns and entity level."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from aemon.sources.guesses import guess_entity, guess_time
from aemon.sources.json_values import UnreadableMessageError, document_of, text_of

if TYPE_CHECKING:
    from aemon.sources.mqtt.broker_listening import Topic

_MOST_NAMED = (
    40  # maximum columns listed by topic; for more columns, the level that names them is written
)
_MOST_DEPTH = 4  # levels of objects within objects
_ALIKE = 0.5  # least share of members that two messages of one kind have in common
_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")
_NUMBERED = re.compile(r"(.*?)[-_. ]?\d+")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TopicGroup:
    """Topics of the same form.

    Attributes:
        topic: a filter that matches all the topics.
        topics: names of the topics.
        values: entries for the key `topics` of the source; empty if no message can be read.
        count: number of messages.
        arrivals: times of arrival of the messages, for each topic.
        entity_level: level of the topic that names the entity; None if no level names it.
        entity_path: JSON path of the value that names the entity; None if there is no such value.
        entities: names of the entities seen.
        time_path: JSON path of the event time; None if there is no event time.
        time_because: reason for the guess of the event time.
        table: JSON messages as a table, with a column for each member; None for other messages.
    """

    topic: str
    topics: tuple[str, ...]
    values: Mapping[str, object]
    count: int
    arrivals: Sequence[Sequence[datetime]]
    entity_level: int | None = None
    entity_path: str | None = None
    entities: tuple[str, ...] = ()
    time_path: str | None = None
    time_because: str = ""
    table: pd.DataFrame | None = field(default=None, repr=False)


def groups_of(topics: Mapping[str, "Topic"], topic_filter: str) -> list[TopicGroup]:
    """Return groups of topics with the same number of levels, first level and kind of content."""
    by_first_level = topic_filter.startswith("#")  # any other filter chooses the first level
    plain: dict[tuple[int, str], list[str]] = defaultdict(list)
    objects: dict[tuple[int, str], list[tuple[set[str], list[str]]]] = defaultdict(list)
    tables: dict[str, pd.DataFrame] = {}
    unread: list[str] = []
    for name, topic in sorted(topics.items()):
        levels = name.split("/")
        form = (len(levels), levels[0] if by_first_level else "")
        documents = [one for one in map(_document, topic.payloads) if one is not None]
        members = [dict(_flat(one)) for one in documents if isinstance(one, dict)]
        if members and len(members) * 2 >= len(documents):
            tables[name] = pd.DataFrame(members)
            _join(objects[form], set(map(str, tables[name])), name)
        elif any(not isinstance(one, dict | list) for one in documents):
            plain[form].append(name)
        else:
            unread.append(name)
    found = [_plain_group(names, topics) for names in plain.values()]
    for kinds in objects.values():
        found += [
            _object_group(names, topics, pd.concat([tables[name] for name in names]))
            for _, names in kinds
        ]
    found += [
        TopicGroup(topic=name, topics=(name,), values={}, count=0, arrivals=()) for name in unread
    ]
    return found


def _document(payload: bytes) -> Any:
    """Return a payload as a JSON document; as text if it is not JSON; None if unreadable."""
    try:
        text = text_of(payload)
    except UnreadableMessageError:
        return None
    try:
        return document_of(text) if text else None
    except UnreadableMessageError:
        return text


def _flat(
    document: Mapping[str, Any], before: str = "$", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Yield the paths and values of the plain members of an object, at most `_MOST_DEPTH` deep."""
    for name, value in document.items():
        if not _PLAIN_NAME.fullmatch(name) and ('"' in name or not name):
            continue
        path = f"{before}.{name}" if _PLAIN_NAME.fullmatch(name) else f'{before}["{name}"]'
        if isinstance(value, dict) and depth + 1 < _MOST_DEPTH:
            yield from _flat(value, path, depth + 1)
        elif not isinstance(value, dict | list):
            yield path, value


def _join(kinds: list[tuple[set[str], list[str]]], members: set[str], name: str) -> None:
    """Add a topic to the first kind with enough members in common, or else to a new kind."""
    for known, names in kinds:
        if len(known & members) >= _ALIKE * len(known | members):
            known.update(members)
            names.append(name)
            return
    kinds.append((members, [name]))


def _plain_group(names: Sequence[str], topics: Mapping[str, "Topic"]) -> TopicGroup:
    """Return the group of topics whose messages are single values.

    If the names in the last level differ and are not numbered (s1, s2), this level names the
    column. Of all remaining levels in which the topics differ, the last level names the entity.
    """
    levels = [name.split("/") for name in names]
    varying = _varying(levels)
    last = len(levels[0]) - 1
    column = last if last in varying and not _is_numbered({one[last] for one in levels}) else None
    rest = [level for level in varying if level != column]
    entity = rest[-1] if rest else None
    named = last if column is None and entity != last else column
    values: dict[str, object] = {}
    if named is None:
        values[_filter(levels, varying)] = "value"
    else:
        columns = sorted({one[named] for one in levels})
        for text in columns:
            own = [one for one in levels if one[named] == text]
            values[_filter(own, [level for level in varying if level != named])] = (
                text.lstrip("$") or "value"
            )
        if len(columns) > _MOST_NAMED:
            values = {_filter(levels, varying): named}
    return TopicGroup(
        topic=_filter(levels, varying),
        topics=tuple(names),
        values=values,
        entity_level=entity,
        entities=tuple({one[entity] for one in levels}) if entity is not None else (),
        **_counts(names, topics),
    )


def _object_group(
    names: Sequence[str], topics: Mapping[str, "Topic"], table: pd.DataFrame
) -> TopicGroup:
    """Return the group of topics whose messages are JSON objects of one kind.

    The last level in which the topics differ names the entity. If the topics do not differ, a
    member of the objects may name the entity.
    """
    levels = [name.split("/") for name in names]
    varying = _varying(levels)
    table = table.reset_index(drop=True)
    time = guess_time(table)
    time_path = str(time.name) if time is not None and isinstance(time.name, str) else None
    entity_level = varying[-1] if varying else None
    entity_path: str | None = None
    entities: tuple[str, ...] = tuple({one[varying[-1]] for one in levels}) if varying else ()
    if entity_level is None and time is not None and time_path is not None:
        found = guess_entity(table, time.times, [time_path])
        if found is not None:
            entity_path, _ = found
            entities = tuple(map(str, table[entity_path].unique()))
    columns = _column_names([str(n) for n in table if str(n) not in {time_path, entity_path}])
    table = table.rename(columns={path: name for name, path in columns.items()})
    topic = _filter(levels, varying)
    return TopicGroup(
        topic=topic,
        topics=tuple(names),
        values={topic: columns} if columns else {},
        entity_level=entity_level,
        entity_path=entity_path,
        entities=entities,
        time_path=time_path,
        time_because=time.because if time is not None else "",
        table=table,
        **_counts(names, topics),
    )


def _column_names(paths: Sequence[str]) -> dict[str, str]:
    """Return column -> path. A column has the name of its path's last member.

    If several paths end in the same name, the names of all members are joined.

    >>> _column_names(["$.flow", "$.motor.A", '$.pump["A"]'])
    {'flow': '$.flow', 'motor_A': '$.motor.A', 'pump_A': '$.pump["A"]'}
    """
    members = {path: re.findall(r'\.([^.\[]+)|\["([^"]+)"\]', path) for path in paths}
    words = {path: [plain or quoted for plain, quoted in found] for path, found in members.items()}
    ends = [parts[-1] for parts in words.values()]
    named: dict[str, str] = {}
    for path, parts in words.items():
        name = parts[-1] if ends.count(parts[-1]) == 1 else "_".join(parts)
        named[name if name not in named and not name.startswith("$") else json.dumps(path)] = path
    return named


def _varying(levels: Sequence[Sequence[str]]) -> list[int]:
    """Return the levels in which topics of equal length differ."""
    return [number for number, texts in enumerate(zip(*levels, strict=True)) if len(set(texts)) > 1]


def _filter(levels: Sequence[Sequence[str]], varying: Sequence[int]) -> str:
    """Return the filter that matches topics of equal length which differ only in these levels."""
    return "/".join("+" if n in varying else text for n, text in enumerate(levels[0]))


def _is_numbered(texts: set[str]) -> bool:
    """Return whether all names are the same word with different numbers.

    >>> _is_numbered({"s1", "s2"}), _is_numbered({"flow", "pressure"}), _is_numbered({"t1", "p1"})
    (True, False, False)
    """
    found = [_NUMBERED.fullmatch(text) for text in texts]
    return all(found) and len({one[1] for one in found if one}) == 1


def _counts(names: Sequence[str], topics: Mapping[str, "Topic"]) -> dict[str, Any]:
    return {
        "count": sum(topics[name].count for name in names),
        "arrivals": [topics[name].arrivals for name in names],
    }
