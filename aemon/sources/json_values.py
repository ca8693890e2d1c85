"""Values of messages in JSON: the document, its plain members, and why a message cannot be read."""

import json
from collections.abc import Iterator
from typing import Any

from aemon.sources.json_paths import ABSENT, JsonPath, value_at

MOST_COLUMNS = 1_000
"""Different column names accepted from all messages together: a message may hold any name."""

NOT_TEXT, NOT_JSON, NOT_PLAIN = "not_text", "not_json", "not_plain"
NO_VALUE, TOO_MANY_COLUMNS = "no_value", "too_many_columns"
_WHOLE = 2**63  # no database holds a larger whole number


class UnreadableMessageError(Exception):
    """A message has no value that can be read; the text is the reason."""


class ColumnNames:
    """The column names seen in messages so far, at most `MOST_COLUMNS`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def accept(self, column: str) -> bool:
        """Return whether a column may be used; remember its name if so."""
        if not column or column in self._known:
            return bool(column)
        if len(self._known) >= MOST_COLUMNS:
            return False
        self._known.add(column)
        return True


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
    """Return a JSON text as a document, in which NaN and infinities are None.

    Raises:
        UnreadableMessageError: the text is not JSON.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise UnreadableMessageError(NOT_JSON) from None


def plain_members(path: JsonPath, document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object with their values; `ABSENT` for a value that is not plain."""
    members = value_at(path, document)
    for name, value in members.items() if isinstance(members, dict) else ():
        yield name, ABSENT if isinstance(value, dict | list) else value


def plain_value_at(path: JsonPath | None, document: Any) -> Any:
    """Return a plain value of a document; None if there is none."""
    value = None if path is None else value_at(path, document)
    return None if value is ABSENT or isinstance(value, dict | list) else value


def number_in_range(value: Any) -> Any:
    """Return a value unchanged, except a whole number that is too large for every database.

    Such a number becomes a float, or None if no float holds it either.
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
