"""Pages of a list, and cursors: a cursor continues a list after a page."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from aemon.errors import QueryError
from aemon.frame import printable

T = TypeVar("T")

MOST_ON_A_PAGE = 1000
MOST_WHOLE = 2**63 - 1  # the largest whole number that a database can compare with an id
_MOST_CURSOR = 4000  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """A page of a list.

    Attributes:
        items: the rows of the page.
        next_cursor: the cursor of the next page; None if this page is the last page.
    """

    items: tuple[T, ...]
    next_cursor: str | None


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], Sequence[Any]]) -> Page[T]:
    """Return a page with at most `limit` of the rows; its cursor names the key of the last row.

    Args:
        rows: the rows from the begin of the page on, at most `limit` + 1.
        limit: largest number of rows on the page.
        key: row -> the values that order the list: texts, whole numbers or aware datetimes.
    """
    items = tuple(rows[:limit])
    more = len(rows) > limit
    return Page(items=items, next_cursor=to_cursor(key(items[-1])) if more and items else None)


def to_cursor(values: Sequence[str | int | datetime]) -> str:
    """Return values as a cursor, which is text that fits into a URL.

    >>> from_cursor(to_cursor(["pumps", 4]), [str, int])
    ['pumps', 4]
    """
    written = [v.isoformat() if isinstance(v, datetime) else v for v in values]
    return base64.urlsafe_b64encode(json.dumps(written).encode()).decode().rstrip("=")


def from_cursor(cursor: str | None, kinds: Sequence[type[Any]]) -> list[Any] | None:
    """Return the values of a cursor; None without a cursor.

    Args:
        cursor: the cursor, as a client sent it.
        kinds: the type of each value: str, int or datetime.

    Raises:
        QueryError: the cursor is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        return [_read(value, kind) for value, kind in zip(_written(cursor), kinds, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise QueryError(
            "the cursor is not a cursor of this list",
            todo="pass on `next_cursor` of the page before, unchanged; without a cursor, the list "
            "begins with its first page",
        ) from None


def _written(cursor: str) -> list[Any]:
    if len(cursor) > _MOST_CURSOR:
        raise ValueError("too long")
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not isinstance(values, list):
        raise TypeError("not a list")
    return values


def _read(value: object, kind: type[Any]) -> Any:
    if kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    if type(value) is not kind:
        raise TypeError("another type")
    if isinstance(value, int) and abs(value) > MOST_WHOLE:
        raise ValueError("too large")
    if isinstance(value, str) and printable(value) != value:
        raise ValueError("no database can hold this")
    return value
