"""Records from a table, view or query of any database that SQLAlchemy reaches."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.sql import quoted_name

from aemon.clock import Clock, utc_now
from aemon.config.source_settings import SqlSource
from aemon.errors import AemonError, SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.plausible_times import believable, last_time
from aemon.sources.source import Fetched, there
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.position import NEWEST_KEY, newest_key_of, position_of, write_value

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    in_order_of_arrival = False

    def __init__(self, settings: SqlSource, clock: Clock = utc_now) -> None:
        self._clock = clock
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
        query = self._in_order(after, newest=False)
        table, last, more = self._read(query, limit)
        waiting = len(table) - self._believable(table, more=more)
        if waiting:
            table, last, _ = self._read(query, len(table) - waiting)
        return Fetched(
            table=table,
            watermark=self._mark(table, last, after),
            more=more and not waiting,
            waiting=waiting,
        )

    def _believable(self, table: pd.DataFrame, *, more: bool) -> int:
        times = table[self._roles.time]
        return believable(times, self._roles.timezone, self._clock(), more=more)

    def _late(self, after: Watermark | None, limit: int) -> Fetched | None:
        """Records whose time is before the watermark and whose key says that they are new."""
        position = position_of(after)
        newest_key = position.get(NEWEST_KEY)
        if after is None or newest_key is None:
            return None
        query = (
            self._all()
            .where(self._key > _raw(newest_key), self._time < _raw(position["time"]))
            .order_by(self._key)
        )
        table, last, more = self._read(query, limit)
        if not last:
            return None
        keys = table[self._roles.key]
        if more and keys.iloc[0] != keys.iloc[-1]:
            # Entities may share a key: it is read whole, or not yet.
            table = table[keys != keys.iloc[-1]]
            keys = table[self._roles.key]
        newest_key = newest_key_of(keys, newest_key)
        moved = {**json.loads(after.position), NEWEST_KEY: write_value(newest_key)}
        # The watermark stays where it is in time; the records after it are still to be read.
        return Fetched(table=table, watermark=replace(after, position=json.dumps(moved)), more=True)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest `limit` records up to a watermark (None: up to now), oldest first."""
        query = self._in_order(until, newest=True)
        table, last, _ = self._read(query, limit, backwards=True)
        waiting = len(table) - self._believable(table, more=False)
        if waiting:
            table, last, _ = self._read(query.offset(waiting), limit, backwards=True)
        mark = self._mark(table, last, until)
        if until is None and mark is not None:
            mark = self._behind_all_keys(mark)
        return Fetched(table=table, watermark=mark, more=False, waiting=waiting)

    def _behind_all_keys(self, mark: Watermark) -> Watermark:
        """The same watermark, with every key there is taken for read: older records are let be."""
        position = json.loads(mark.position)
        if NEWEST_KEY not in position:
            return mark
        try:
            with self._database.engine.connect() as connection:
                largest = connection.execute(sa.select(sa.func.max(self._key))).scalar()
        except self._database.errors as error:
            raise self._explain(error) from None
        return replace(mark, position=json.dumps({**position, NEWEST_KEY: write_value(largest)}))

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
        position = position_of(mark)
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
        query = query.limit(limit if backwards else limit + 1)
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
                    parts.append(self._as_table(rows, names))
                more = not left and not backwards and cursor.fetchone() is not None
        except self._database.errors as error:
            raise self._explain(error) from None
        table = _join(parts, names)
        if backwards:
            table = table.iloc[::-1].reset_index(drop=True)
        return table, dict(zip(names, newest, strict=False)), more

    def _as_table(self, rows: "Sequence[Any]", names: list[str]) -> pd.DataFrame:
        table = pd.DataFrame.from_records(rows, columns=names, coerce_float=True)
        for role in filter(None, (self._roles.key, self._roles.entity)):
            place = names.index(role) if role in names else None
            if place is not None and any(isinstance(row[place], Decimal) for row in rows):
                # As a float, one large identifier reads like its neighbour.
                table[role] = pd.Series([row[place] for row in rows], dtype=object)
        return table

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
        newest_key = newest_key_of(table[self._roles.key], position_of(given).get(NEWEST_KEY))
        if newest_key is not None:
            position[NEWEST_KEY] = write_value(newest_key)
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
