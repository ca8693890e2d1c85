"""Column types with the same meaning in PostgreSQL and in STRICT tables of SQLite."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from aemon.store.schema.junk import log_junk
from aemon.times.stored_times import EARLIEST, LATEST, stored_time

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ZONELESS = len("2026-11-20 08:00:00.000000")


def time_text(time: datetime) -> str:
    """Return an aware datetime as text for SQLite, in UTC.

    All texts have the same length, so that their text order is their time order.

    >>> time_text(datetime(2026, 11, 20, 8, tzinfo=UTC))
    '2026-11-20 08:00:00.000000'
    """
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_ZONELESS]


class UtcTime(sa.TypeDecorator[datetime]):
    """Column type of an aware datetime in UTC: `timestamptz` on PostgreSQL, text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return type text for SQLite, which has no type for times; `timestamptz` for PostgreSQL."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else self.impl)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return a time in UTC, as text for SQLite; a naive value is taken as UTC."""
        if value is None:
            return None
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return time_text(aware) if dialect.name == "sqlite" else aware

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return a stored time as an aware datetime; `LONG_AGO` if the stored value is not a time.

        A time without a zone is taken as UTC.
        """
        if value is None:
            return None
        try:
            time: datetime = stored_time(value) if dialect.name == "sqlite" else value
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except ValueError:
            log_junk("a time", value)
            return LONG_AGO
        except OverflowError:
            return EARLIEST if time.year == 1 else LATEST


class Json(sa.TypeDecorator[Any]):
    """Column type of a JSON object: `jsonb` on PostgreSQL, text on SQLite.

    A stored value that is not a JSON object is read as `{}`.

    Args:
        numbers: True if all values of the object must be numbers.
    """

    impl = sa.JSON
    cache_ok = True

    def __init__(self, *, numbers: bool = False) -> None:
        super().__init__()
        self.numbers = numbers

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return type text for SQLite, and type `jsonb` for PostgreSQL."""
        kind: Any = sa.Text()
        if dialect.name != "sqlite":
            # None is written as SQL's NULL, which IS NULL finds, and not as JSON's null.
            kind = postgresql.JSONB(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return a value as JSON text for SQLite, and unchanged for PostgreSQL."""
        return json.dumps(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the stored object; with `numbers`, leave out values that are not numbers."""
        if value is None:
            return None
        try:
            content = json.loads(value) if dialect.name == "sqlite" else value
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            log_junk("a JSON object", value)
            return {}
        if self.numbers and not _are_numbers(content.values()):
            numbers = {name: number for name, number in content.items() if _are_numbers([number])}
            if len(numbers) < len(content):
                log_junk("a JSON object of numbers", value)
            return numbers
        return content


def _are_numbers(values: Collection[Any]) -> bool:
    """Return whether all values are finite numbers; the check is quick, because it runs often.

    >>> _are_numbers([1, 0.5]), _are_numbers([1, True]), _are_numbers([float("nan")])
    (True, False, False)
    """
    if {type(value) for value in values} - {int, float}:
        return False
    try:
        return isfinite(sum(values))
    except OverflowError:
        return False


class Truth(sa.TypeDecorator[bool]):
    """Column type of True or False: `boolean` on PostgreSQL, integer 0 or 1 on SQLite."""

    impl = sa.Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return type integer for SQLite, and type `boolean` for PostgreSQL."""
        kind: Any = sa.Integer() if dialect.name == "sqlite" else sa.Boolean()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        """Return a value as 0 or 1 for SQLite, which has no type `boolean`."""
        return int(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> bool | None:
        """Return a stored value as True or False; None stays None."""
        return None if value is None else bool(value)


Number: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Column type of a 64-bit integer; a primary key of this type numbers rows, also in SQLite."""

Identifier = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Column type of text that sorts by its bytes, as in Python and SQLite, and not by a locale."""
