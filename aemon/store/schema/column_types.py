"""Column types that mean the same in both databases, in words that SQLite's STRICT tables know."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from aemon.store.schema.junk import tell_junk
from aemon.times.stored_times import EARLIEST, LATEST, stored_time

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ZONELESS = len("2026-11-20 08:00:00.000000")


def time_text(time: datetime) -> str:
    """An aware time as SQLite's text: UTC, all of one length, so that their order is that of time.

    >>> time_text(datetime(2026, 11, 20, 8, tzinfo=UTC))
    '2026-11-20 08:00:00.000000'
    """
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_ZONELESS]


class UtcTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL, sortable text in UTC on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, which has no type for times."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else self.impl)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Take naive values for UTC."""
        if value is None:
            return None
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return time_text(aware) if dialect.name == "sqlite" else aware

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite's text leaves out; what is no time was long ago."""
        if value is None:
            return None
        try:
            time: datetime = stored_time(value) if dialect.name == "sqlite" else value
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except ValueError:
            tell_junk("a time", value)
            return LONG_AGO
        except OverflowError:
            return EARLIEST if time.year == 1 else LATEST


class Json(sa.TypeDecorator[Any]):
    """A JSON object: `jsonb` on PostgreSQL, text on SQLite. Another value is read as an empty one.

    Args:
        numbers: whether all its values are numbers.
    """

    impl = sa.JSON
    cache_ok = True

    def __init__(self, *, numbers: bool = False) -> None:
        super().__init__()
        self.numbers = numbers

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite."""
        kind: Any = sa.Text()
        if dialect.name != "sqlite":
            # No value is SQL's null, so that IS NULL finds it; JSON's own is never written.
            kind = postgresql.JSONB(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Write text where the driver does not."""
        return json.dumps(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read text where the driver does not."""
        if value is None:
            return None
        try:
            found = json.loads(value) if dialect.name == "sqlite" else value
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            tell_junk("a JSON object", value)
            return {}
        if self.numbers and not _are_numbers(found.values()):
            numbers = {name: one for name, one in found.items() if _are_numbers([one])}
            if len(numbers) < len(found):
                tell_junk("a JSON object of numbers", value)
            return numbers
        return found


def _are_numbers(values: Collection[Any]) -> bool:
    """Whether all values are numbers that can be reckoned with; quick, because it is asked often.

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
    """A truth: `boolean` on PostgreSQL, 0 or 1 on SQLite."""

    impl = sa.Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A whole number on SQLite."""
        kind: Any = sa.Integer() if dialect.name == "sqlite" else sa.Boolean()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        """Write a number where there are no truths."""
        return int(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> bool | None:
        """Read a truth from whatever holds it."""
        return None if value is None else bool(value)


Number: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Sixty-four bits; on SQLite also what numbers its rows by itself."""

Identifier = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text in the order of its bytes, as Python and SQLite have it, whatever the database's locale."""
