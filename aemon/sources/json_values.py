"""Functions that parse a JSON message and read its plain values, and the error for bad messages.

A plain value is a value that is not an object or a list.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aemon.sources.json_paths import ABSENT, JsonPath, value_at

MOST_COLUMNS = 1_000
"""Largest number of different column names in all messages together; further names are refused."""

NOT_TEXT, NOT_JSON, NOT_PLAIN = "not_text", "not_json", "not_plain"
NO_VALUE, TOO_MANY_COLUMNS = "no_value", "too_many_columns"
_WHOLE = 2**63  # no database holds a whole number of this size


class UnreadableMessageError(Exception):
    """A message has no value that can be read; the text of the error is the reason."""


class ColumnNames:
    """The column names seen in messages so far, at most `MOST_COLUMNS`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def accept(self, column: str) -> bool:
        """Return whether a column may be used; remember the names of accepted columns."""
        if not column or column in self._known:
            return bool(column)
        if len(self._known) >= MOST_COLUMNS:
            return False
        self._known.add(column)
        return True

    def gather(self, found: Iterable[tuple[str, Any]], columns: dict[str, Any]) -> set[str]:
        """Add plain values of a message to `columns`; return the reasons for values not added.

        Args:
            found: name and value; `ABSENT` for a value that the message does not have.
            columns: column -> value, to which the values are added.
        """
        problems: set[str] = set()
        for name, value in found:
            if value is ABSENT:
                continue
            if isinstance(value, dict | list):
                problems.add(NOT_PLAIN)
            elif self.accept(name):
                columns[name] = number_in_range(value)
            else:
                problems.add(TOO_MANY_COLUMNS)
        return problems


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one message.

    Attributes:
        entity: entity of the record; empty if the settings name no entity.
        columns: column -> value: a number, a boolean, text, or None for a missing value.
        time: the event time, converted no further than JSON; None if the message has no time.
        key: key of the record; None if the message has no key.
        problems: the reasons why some of the columns could not be read.
    """

    entity: str
    columns: dict[str, Any]
    time: Any
    key: Any
    problems: frozenset[str] = field(default_factory=frozenset)


def text_of(payload: bytes) -> str:
    """Return a payload as text.

    Raises:
        UnreadableMessageError: the payload is not UTF-8.
    """
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise UnreadableMessageError(NOT_TEXT) from None


def document_of(text: str) -> Any:
    """Parse a JSON text and return the document; NaN and infinities become None.

    Raises:
        UnreadableMessageError: the text is not JSON.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise UnreadableMessageError(NOT_JSON) from None


def plain_members(path: JsonPath, document: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and values of an object's members; `ABSENT` in place of an object or a list."""
    members = value_at(path, document)
    for name, value in members.items() if isinstance(members, dict) else ():
        yield name, ABSENT if isinstance(value, dict | list) else value


def plain_value_at(path: JsonPath | None, document: Any) -> Any:
    """Return the value at a path; None if the path is None or leads to no plain value."""
    value = None if path is None else value_at(path, document)
    return None if value is ABSENT or isinstance(value, dict | list) else value


def number_in_range(value: Any) -> Any:
    """Return a number that databases can hold; every other value is returned unchanged.

    A whole number that is too large for every database becomes a float. A whole number that is
    too large for a float becomes None.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _WHOLE:
        try:
            return float(value)
        except OverflowError:
            return None
    return value


def _missing(_constant: str) -> None:
    """Return None for NaN and infinities, which are not values of a record."""


_DECODER = json.JSONDecoder(parse_constant=_missing)
