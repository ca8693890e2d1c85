"""Records from a table, view or query of any database that SQLAlchemy reaches."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.sql import quoted_name

from aemon.config.schema import SqlSource
from aemon.errors import AemonError, SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.database import Database
from aemon.sources.hints import there
from aemon.sources.position import read_value, write_value
from aemon.sources.reading import last_time
from aemon.sources.source import Fetched

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEWEST_KEY = "newest_key"  # in a position, beside the roles
_ROWS_AT_ONCE = 20_000  # held as Python objects at one time, before they become columns


class SqlTable:
    """A table, view or query, read in the order of (time, key), or (time, key, entity).

    The database compares its own raw values, of whatever type: a watermark keeps them with their
    types. Text times are therefore read in the order of their letters, which is that of time as
    long as they are all written alike. A row whose time or key is NULL has no place in the order
    and is never read.

    A row inserted with a time before the watermark is late. Where keys are whole numbers that
    grow with every insert, a key above all that were read gives it away, and it is read then;
    other late rows are out of reach.

    An index on (time, key) keeps every read short, and one on the key the look for late rows.
    """

    replayable = True

    def __init__(self, settings: SqlSource) -> None:
        self._roles = Roles(
            time=settings.time,
            key=settings.key,
            entity=settings.entity,
            timezone=settings.timezone,
        )
        self._database = Database(settings.url.get_secret_value())
        self._table = settings.table
        self._records = _records(settings, self._database.engine.dialect)
        columns = self._records.c
        self._time, self._key = columns[settings.time], columns[settings.key]
        self._entity = columns[settings.entity] if settings.entity else None

    @property
    def roles(self) -> Roles:
        """Which columns identify a record."""
        return self._roles

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """At most `limit` records after a watermark, oldest first; None reads from the beginning.

        Late records come first, by themselves, in the order of their keys.
        """
        late = self._late(after, limit)
        if late is not None:
            return late
        query = self._in_order(after, newest=False).limit(limit + 1)
        table, last, more = self._read(query, limit)
        return Fetched(table=table, watermark=self._mark(table, last, after), more=more)

    def _late(self, after: Watermark | None, limit: int) -> Fetched | None:
        """Records whose time is before the watermark and whose key says that they are new."""
        position = _position(after)
        newest_key = position.get(_NEWEST_KEY)
        if after is None or newest_key is None:
            return None
        query = (
            self._all()
            .where(self._key > _raw(newest_key), self._time < _raw(position["time"]))
            .order_by(self._key)
            .limit(limit)
        )
        table, last, _ = self._read(query, limit)
        if not last:
            return None
        newest_key = _newest_key(table[self._roles.key], newest_key)
        moved = {**json.loads(after.position), _NEWEST_KEY: write_value(newest_key)}
        # The watermark stays where it is in time; the records after it are still to be read.
        return Fetched(table=table, watermark=replace(after, position=json.dumps(moved)), more=True)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest `limit` records up to a watermark (None: up to now), oldest first."""
        query = self._in_order(until, newest=True).limit(limit)
        table, last, _ = self._read(query, limit, backwards=True)
        return Fetched(table=table, watermark=self._mark(table, last, until), more=False)

    def count(self, limit: int) -> int:
        """How many records there are in all, counted no further than `limit`."""
        some = sa.select(self._time).where(*self._has_place()).limit(limit).subquery("some")
        query = sa.select(sa.func.count()).select_from(some)
        try:
            with self._database.engine.connect() as connection:
                return int(connection.execute(query).scalar_one())
        except self._database.errors as error:
            raise self._explain(error) from None

    def describe(self) -> str:
        """The table or query and where it is."""
        return f"sql {self._table or 'query'} in {self._database.name}"

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()

    def _in_order(self, mark: Watermark | None, *, newest: bool) -> sa.Select[Any]:
        """Records after a watermark, or up to it and `newest` first."""
        order: list[sa.ColumnElement[Any]] = [self._time, self._key]
        if self._entity is not None:
            # NULL is first in some databases and last in others: here it is last in all.
            order += [sa.case((self._entity.is_(None), 1), else_=0), self._entity]
        query = self._all().where(*self._has_place())
        position = _position(mark)
        if position:
            time = _raw(position["time"])
            beyond = self._beyond(position)
            # The first part says nothing new; it is what an index on the time answers to.
            query = query.where(
                *((self._time <= time, sa.not_(beyond)) if newest else (self._time >= time, beyond))
            )
        return query.order_by(*(part.desc() if newest else part for part in order))

    def _all(self) -> sa.Select[Any]:
        return sa.select(sa.literal_column("*")).select_from(self._records)

    def _has_place(self) -> tuple[sa.ColumnElement[bool], ...]:
        return self._time.is_not(None), self._key.is_not(None)

    def _beyond(self, position: dict[str, Any]) -> sa.ColumnElement[bool]:
        time, key = _raw(position["time"]), _raw(position["key"])
        later = self._key > key
        if self._entity is not None:
            entity = position.get("entity")
            # Keys are unique only within an entity: records of equal time and key may follow.
            follows = (
                sa.false()
                if entity is None
                else sa.or_(self._entity > _raw(entity), self._entity.is_(None))
            )
            later = sa.or_(later, sa.and_(self._key == key, follows))
        return sa.or_(self._time > time, sa.and_(self._time == time, later))

    def _read(
        self, query: sa.Select[Any], limit: int, *, backwards: bool = False
    ) -> tuple[pd.DataFrame, dict[str, Any], bool]:
        """The first `limit` rows as a table, the newest of them raw, and whether there are more."""
        parts: list[pd.DataFrame] = []
        newest: Sequence[Any] = ()
        left = limit
        more = False
        try:
            with self._database.engine.connect() as connection:
                # SQLAlchemy's own rows are not needed, and cost half as much as the reading.
                cursor: Any = connection.execute(query).cursor
                names = [column[0] for column in cursor.description]
                while left and (rows := cursor.fetchmany(min(left, _ROWS_AT_ONCE))):
                    left -= len(rows)
                    if not (backwards and newest):
                        newest = rows[0 if backwards else -1]
                    parts.append(pd.DataFrame.from_records(rows, columns=names, coerce_float=True))
                more = not left and not backwards and cursor.fetchone() is not None
        except self._database.errors as error:
            raise self._explain(error) from None
        table = _join(parts, names)
        if backwards:
            table = table.iloc[::-1].reset_index(drop=True)
        return table, dict(zip(names, newest, strict=False)), more

    def _mark(
        self, table: pd.DataFrame, last: dict[str, Any], given: Watermark | None
    ) -> Watermark | None:
        if not last:
            return given
        roles = {"time": self._roles.time, "key": self._roles.key}
        if self._roles.entity:
            roles["entity"] = self._roles.entity
        try:
            position = {role: write_value(last[column]) for role, column in roles.items()}
        except TypeError as error:
            raise SourceConfigError(
                f"{self.describe()}: {error}", todo="choose a time and a key of plain types"
            ) from None
        newest_key = _newest_key(table[self._roles.key], _position(given).get(_NEWEST_KEY))
        if newest_key is not None:
            position[_NEWEST_KEY] = write_value(newest_key)
        event_time = last_time(table[self._roles.time], self._roles.timezone)
        return Watermark(
            event_time=event_time or (given.event_time if given else None),
            record_key=str(last[self._roles.key]),
            position=json.dumps(position),
        )

    def _explain(self, error: Exception) -> AemonError:
        """An error as what a person can do about it, after a look at what is there."""
        if isinstance(error, DBAPIError) and error.statement is not None:
            try:
                return self._missing(error) or self._database.trouble(error)
            except self._database.errors:
                pass
        return self._database.trouble(error)

    def _missing(self, error: DBAPIError) -> AemonError | None:
        with self._database.engine.connect() as connection:
            try:
                cursor: Any = connection.execute(self._all().where(sa.false())).cursor
            except DBAPIError:
                return self._missing_table(connection, error)
            names = [column[0] for column in cursor.description]
        for wanted in filter(None, (self._roles.time, self._roles.key, self._roles.entity)):
            if wanted not in names:
                return SourceConfigError(
                    f"{self.describe()}: no column {wanted!r}", todo=there(names, wanted)
                )
        return None

    def _missing_table(self, connection: sa.Connection, error: DBAPIError) -> AemonError | None:
        if not isinstance(self._records, sa.TableClause):
            if isinstance(error, ProgrammingError) or _is_mistake(self._database.clean(error)):
                return SourceConfigError(
                    f"{self.describe()}: the query fails: {self._database.clean(error)}",
                    todo="try it in the database's own shell",
                )
            return None
        look = sa.inspect(connection)
        name, schema = self._records.name, self._records.schema
        tables = {*look.get_table_names(schema), *look.get_view_names(schema)}
        if name in tables:
            return None
        return SourceConfigError(
            f"{self._database.name}: no table or view {self._table!r}", todo=there(tables, name)
        )


def _records(settings: SqlSource, dialect: Dialect) -> sa.FromClause:
    """What is read, with untyped columns: the driver's own values are what a position compares."""
    # SQLAlchemy does not know every reserved word of every database, so all names are quoted,
    # but where that would make a name in small letters another name (Oracle).
    quote = None if dialect.requires_name_normalize else True
    names = dict.fromkeys(filter(None, (settings.time, settings.key, settings.entity)))
    columns: list[sa.ColumnClause[Any]] = [sa.column(quoted_name(name, quote)) for name in names]
    if settings.query is None:
        schema, _, name = str(settings.table).rpartition(".")
        owner = quoted_name(schema, quote) if schema else None
        return sa.table(quoted_name(name, quote), *columns, schema=owner)
    # No colon is a parameter of ours, and a comment in the last line must end.
    text = settings.query.strip().rstrip(";").replace(":", "\\:") + "\n"
    return sa.text(text).columns(*columns).subquery("records")


def _position(mark: Watermark | None) -> dict[str, Any]:
    """The raw values of a watermark's position; empty where it has none."""
    if mark is None or not mark.position:
        return {}
    return {role: read_value(raw) for role, raw in json.loads(mark.position).items()}


def _newest_key(keys: pd.Series, before: int | None) -> int | None:
    """The largest key read so far; None where keys are no whole numbers."""
    if not len(keys) or not pd.api.types.is_integer_dtype(keys):
        return before
    newest = int(keys.max())
    return newest if before is None else max(newest, before)


def _raw(value: object) -> sa.BindParameter[Any]:
    """A bound value that goes to the driver as it came from it."""
    return sa.bindparam(None, value, type_=sa.types.NullType())


def _join(parts: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    if len(parts) > 1:
        # A column that was NULL all through one part is an object there.
        return pd.concat(parts, ignore_index=True).infer_objects()
    return parts[0] if parts else pd.DataFrame(columns=names)


def _is_mistake(text: str) -> bool:
    """Whether SQLite, which has one class of error for all, blames the statement."""
    return any(words in text for words in ("no such", "syntax error", "ambiguous"))
