"""The statements that read a table in the order of (time, key), or (time, key, entity)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import quoted_name

from aemon.records import Watermark
from aemon.sources.sql.position import MISSING, NEWEST_KEY, RELOADED, position_of
from aemon.sources.sql.settings import SqlSource
from aemon.times.far_times import is_far


class ReadingOrder:
    """The statements that read one table, view or query; this class does not run statements.

    Each statement has at least one bound value, such as a limit. PostgreSQL then refuses a second
    statement, which a configured query might contain.

    Attributes:
        written: the table or query as configured.
        records: the table or query, with the event time in one column.
        date_and_time: the columns of a date and its time of day, if the time has two columns.
    """

    def __init__(self, settings: SqlSource, dialect: Dialect) -> None:
        self.date_and_time = () if isinstance(settings.time, str) else settings.time
        self.written = _written(settings, dialect)
        self.records = (
            _joined(self.written, settings, dialect) if self.date_and_time else self.written
        )
        columns = self.records.c
        self.time, self.key = columns[time_name(settings)], columns[settings.key]
        self._entity = columns[settings.entity] if settings.entity else None

    def all(self) -> sa.Select[Any]:
        """Return the statement that reads every row."""
        return sa.select(sa.literal_column("*")).select_from(self.records)

    def no_row(self) -> sa.Select[Any]:
        """Return the statement that reads the names of the columns."""
        return self.all().where(sa.false()).limit(1)

    def no_written_row(self) -> sa.Select[Any]:
        """Return the statement that reads the column names of the configured table or query."""
        return sa.select(sa.literal_column("*")).select_from(self.written).limit(0)

    @property
    def identity(self) -> tuple[sa.ColumnElement[Any], ...]:
        """The columns that identify a row: time, key and entity, each once."""
        columns = (self.time, self.key, *(() if self._entity is None else (self._entity,)))
        return tuple({column.name: column for column in columns}.values())

    def these(self, identities: Sequence[Sequence[Any]]) -> sa.Select[Any]:
        """Return the statement that reads rows by values of `identity`; more rows may match."""
        return self.all().where(sa.or_(*(sa.and_(*self._is(one)) for one in identities)))

    def _is(self, values: Sequence[Any]) -> Iterator[sa.ColumnElement[bool]]:
        for column, value in zip(self.identity, values, strict=True):
            if value is None:
                yield column.is_(None)
            elif not is_far(value):  # such a value differs from the time in the database
                yield column == raw(value)

    def has_place(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Return the conditions for a row to have a place in the order: a time and a key."""
        return self.time.is_not(None), self.key.is_not(None)

    def count_without_place(self, limit: int) -> sa.Select[Any]:
        """Return the statement that counts rows without a place in the order, up to `limit`."""
        none = sa.or_(self.time.is_(None), self.key.is_(None))
        some = sa.select(self.time).where(none).limit(limit).subquery("some")
        return sa.select(sa.func.count()).select_from(some)

    def in_order(self, mark: Watermark | None, *, newest: bool) -> sa.Select[Any]:
        """Return the statement that reads the rows after a watermark, oldest first.

        With `newest`, the statement reads the rows up to the watermark, newest first.
        """
        order: list[sa.ColumnElement[Any]] = [self.time, self.key]
        if self._entity is not None:
            # NULL is first in some databases and last in others: here it is last in all.
            order += [sa.case((self._entity.is_(None), 1), else_=0), self._entity]
        query = self.all().where(*self.has_place())
        position = position_of(mark)
        if position:
            time = raw(position["time"])
            beyond = self._beyond(position)
            # The first condition follows from the second, but lets the database use an index.
            query = query.where(
                *((self.time <= time, sa.not_(beyond)) if newest else (self.time >= time, beyond))
            )
        return query.order_by(*(part.desc() if newest else part for part in order))

    def with_newer_keys(self, position: dict[str, Any]) -> sa.Select[Any]:
        """Return the statement for late rows: time before a position, key above all read keys."""
        newest, time = raw(position[NEWEST_KEY]), raw(position["time"])
        return self.all().where(self.key > newest, self.time < time).order_by(self.key)

    def with_missing_keys(self, position: dict[str, Any]) -> sa.Select[Any]:
        """Return the statement for late rows up to a position, with keys that were missing."""
        ranges = [(low, high) for low, high, _ in position[MISSING]]
        alone = [low for low, high in ranges if low == high]
        wide = [self.key.between(raw(low), raw(high)) for low, high in ranges if low < high]
        either = sa.or_(*([self.key.in_([raw(key) for key in alone])] if alone else []), *wide)
        return (
            self.all()
            .where(either, self.time <= raw(position["time"]), sa.not_(self._beyond(position)))
            .order_by(self.key)
        )

    def with_key(self, position: dict[str, Any]) -> sa.Select[Any]:
        """Return the statement that reads the row with the key of a position, or no row."""
        return sa.select(self.key).where(self.key == raw(position["key"])).limit(1)

    def largest_key(self, position: dict[str, Any] | None = None) -> sa.Select[Any]:
        """Return the statement for the largest key: of all rows, or up to a position's time."""
        query = sa.select(sa.func.max(self.key)).limit(1)
        return query if position is None else query.where(self.time <= raw(position["time"]))

    def _beyond(self, position: dict[str, Any]) -> sa.ColumnElement[bool]:
        time, key = raw(position["time"]), raw(position["key"])
        if position.get(RELOADED):
            return self.time > time  # the keys were replaced
        later = self.key > key
        if self._entity is not None:
            entity = position.get("entity")
            # Keys are unique only within an entity: records of equal time and key may follow.
            follows = (
                sa.false()
                if entity is None
                else sa.or_(self._entity > raw(entity), self._entity.is_(None))
            )
            later = sa.or_(later, sa.and_(self.key == key, follows))
        return sa.or_(self.time > time, sa.and_(self.time == time, later))


def raw(value: object) -> sa.BindParameter[Any]:
    """Return a bound value that goes to the driver unchanged, in the driver's own type."""
    return sa.bindparam(None, value, type_=sa.types.NullType())


def time_name(settings: SqlSource) -> str:
    """Return the name of the time column; for two columns, both names with a space between."""
    return settings.time if isinstance(settings.time, str) else " ".join(settings.time)


def _written(settings: SqlSource, dialect: Dialect) -> sa.FromClause:
    """Return the table or query with untyped columns.

    A type would change the driver's own values, which positions compare.
    """
    times = (settings.time,) if isinstance(settings.time, str) else settings.time
    columns = _columns((*times, settings.key, settings.entity), dialect)
    if settings.query is None:
        schema, _, name = str(settings.table).rpartition(".")
        quote = _quote(dialect)
        owner = quoted_name(schema, quote) if schema else None
        return sa.table(quoted_name(name, quote), *columns, schema=owner)
    return _subquery(settings.query.strip().rstrip(";"), columns)


def _joined(written: sa.FromClause, settings: SqlSource, dialect: Dialect) -> sa.FromClause:
    """Return a table or query with a date and its time of day joined to one text.

    The database must write dates as 2026-11-20 and times of day as 08:00:00.
    """
    date, of_day = (sa.cast(written.c[name], sa.String(64)) for name in settings.time)
    joined = (date + " " + of_day).label(quoted_name(time_name(settings), _quote(dialect)))
    every: sa.ColumnElement[Any] = sa.literal_column("*")
    query = sa.select(every, joined).select_from(written)
    text = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return _subquery(text, _columns((time_name(settings), settings.key, settings.entity), dialect))


def _columns(names: Iterable[str | None], dialect: Dialect) -> list[sa.ColumnClause[Any]]:
    known = dict.fromkeys(name for name in names if name)
    return [sa.column(quoted_name(name, _quote(dialect))) for name in known]


def _quote(dialect: Dialect) -> bool | None:
    # SQLAlchemy does not know every reserved word of every database, so all names are quoted.
    # The exception is Oracle, where a quoted name in small letters is a different name.
    return None if dialect.requires_name_normalize else True


def _subquery(query: str, columns: Sequence[sa.ColumnClause[Any]]) -> sa.FromClause:
    # A colon of the query is not a parameter, and a comment in its last line must end.
    text = query.replace(":", "\\:") + "\n"
    return sa.text(text).columns(*columns).subquery("records")
