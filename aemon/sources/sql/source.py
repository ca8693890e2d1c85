"""Records from a table, view or query of any database that SQLAlchemy reaches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
import sqlalchemy as sa

from aemon.clock import Clock, format_duration, utc_now
from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.plausible_times import Times, believable, last_time
from aemon.sources.source import Fetched
from aemon.sources.sql.arrow_reader import ArrowReader
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.faults import explain
from aemon.sources.sql.indexes import missing_indexes
from aemon.sources.sql.missing_keys import LOOKED_FOR, about_keys, note_missing, without
from aemon.sources.sql.position import (
    GIVEN_UP,
    MISSING,
    NEWEST_KEY,
    RELOADED,
    UNORDERED,
    keys_given_up,
    newest_key_of,
    position_of,
    whole,
    write_value,
)
from aemon.sources.sql.reading_order import ReadingOrder, time_name
from aemon.sources.sql.rows import RowReader, Rows
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.times_in_order import check_order_of_times

_MOST_COUNTED = 10_000  # rows without a time or key; a larger number is reported as "more than"


class SqlTable:
    """A table, view or query, read in the order of (time, key), or (time, key, entity).

    The database compares raw values, and a watermark keeps the raw values with their types. So text
    times are read in alphabetical order, which is the order of time if all texts have the same
    form. A row whose time or key is NULL has no place in the order and is never read.

    A row that is inserted with a time before the watermark is late. If keys are integers that grow
    with every insert, `fetch` finds late rows in two ways: by a key above all read keys, and by a
    missing key below the newest key, which `fetch` looks for during `LOOKED_FOR`. Other late rows
    are not found (see `hides`).

    If a table is emptied and loaded again with other keys, its rows up to the time of the watermark
    count as read, and a warning is given.

    A row at which the database fails, for example by a division by zero in a view, is skipped and
    reported. An index on (time, key) makes every read fast; an index on the key makes the search
    for late rows fast.
    """

    in_order_of_arrival = False

    def __init__(self, settings: SqlSource, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._roles = Roles(
            time=time_name(settings),
            key=settings.key,
            entity=settings.entity,
            timezone=settings.timezone,
            time_format=settings.time_format,
        )
        self._database = Database(
            settings.url.get_secret_value(), settings.query, settings.statement_timeout
        )
        self._table = settings.table
        self._order = ReadingOrder(settings, self._database.engine.dialect)
        self._arrow: ArrowReader | None = None
        if settings.read_with == "adbc" and not self._order.date_and_time:
            roles = (column.name for column in self._order.identity)
            self._arrow = ArrowReader(self._database, roles)
        self._reader = RowReader(self._database, self._order, self._roles, self._arrow)

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        return self._roles

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark (None: from the start), oldest first.

        If there are late records, a call returns only late records, in the order of their keys;
        later calls return the other records.
        """
        behind = self._behind(after, limit)
        if behind is not None:
            return behind
        query = self._order.in_order(after, newest=False)
        rows = self._read(query, limit)
        table, more = rows.table, rows.more
        warnings: tuple[str, ...] = ()
        if after is None:
            check_order_of_times(table, self._roles, self.describe())
            warnings = (*self._without_place(), *self._indexes()) if limit > 1 else ()
        else:
            self._check_keys(table, position_of(after))
        times = self._roles.times_of(table[self._roles.time])
        believed = believable(times, self._clock(), more=more)
        waiting = len(table) - believed
        if waiting:
            value = table[self._roles.time].iloc[believed]
            read_as = str(times[believed]).replace("NaT", "no time")
            text = f"the record of {self._roles.time} {value} waits: its time is read as {read_as}"
            warnings = (*warnings, text)
            rows = self._read(query, believed)
            times = self._roles.times_of(rows.table[self._roles.time])
        mark = self._mark(rows, times, after, more=more)
        gone = keys_given_up(mark) - keys_given_up(after)
        if gone:
            keys = (
                f"{gone} key{'' if gone == 1 else 's'} missing below the newest {self._roles.key}"
            )
            within = format_duration(LOOKED_FOR)
            warnings = (*warnings, f"{keys} did not appear within {within}; given up")
        return Fetched(
            table=rows.readable(),
            watermark=mark,
            more=more and not waiting,
            waiting=waiting,
            given_up=gone,
            warnings=warnings,
            times=rows.of_readable(times),
            unreadable=rows.examples(self._roles.key),
        )

    def _without_place(self) -> tuple[str, ...]:
        """Return a warning with the number of rows that have no time or no key, if any."""
        count = int(self._scalar(self._order.count_without_place(_MOST_COUNTED + 1)))
        if not count:
            return ()
        number = f"more than {_MOST_COUNTED}" if count > _MOST_COUNTED else f"{count}"
        names = f"{self._roles.time} or {self._roles.key}"
        return (
            f"{number} rows have no {names}: they have no place in the order, and are never read",
        )

    def _indexes(self) -> tuple[str, ...]:
        with self._explained(), self._database.connect() as connection:
            return missing_indexes(connection, self._order)

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether there may be late rows that `fetch` cannot find by their keys."""
        position = position_of(mark)
        if not position or position.get(RELOADED):
            return False
        return NEWEST_KEY not in position or bool(position.get(UNORDERED))

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is in the form that this source writes."""
        try:
            position_of(mark)
        except SourceConfigError:
            return False
        return True

    def _behind(self, after: Watermark | None, limit: int) -> Fetched | None:
        """Return late records, or a new watermark if the table was loaded again; None otherwise."""
        position = position_of(after)
        if after is None or not position:
            return None
        if NEWEST_KEY not in position:
            is_gone = not position.get(RELOADED) and self._is_gone(position)
            return self._known_by_time(after, position) if is_gone else None
        if position.get(MISSING):
            found = self._late(self._order.with_missing_keys(position), after, limit)
            if found is not None:
                return found
        found = self._late(self._order.with_newer_keys(position), after, limit)
        if found is not None and self._is_gone(position):
            return self._known_by_time(after, position)
        return found

    def _late(self, query: sa.Select[Any], after: Watermark, limit: int) -> Fetched | None:
        """Return the late records of a query in the order of keys; None if no rows are late."""
        rows = self._read(query, limit)
        if not rows.newest:
            return None
        table, more = rows.table, rows.more
        keys = table[self._roles.key]
        if more and keys.iloc[0] != keys.iloc[-1]:
            # Entities may share a key: all rows of one key are read together, now or later.
            rows = rows.first(int((keys != keys.iloc[-1]).sum()))
            keys = rows.table[self._roles.key]
        position = position_of(after)
        newest_key = newest_key_of(keys, position[NEWEST_KEY])
        missing = without(position.get(MISSING, []), whole(keys))
        if not more:
            missing = note_missing(missing, whole(keys), position[NEWEST_KEY], self._clock())
        moved = {
            **json.loads(after.position),
            NEWEST_KEY: write_value(newest_key),
            **({MISSING: missing} if missing or MISSING in position else {}),
        }
        # The watermark keeps its time, because the records after it are not read yet.
        return Fetched(
            table=rows.readable(),
            watermark=replace(after, position=json.dumps(moved)),
            more=True,
            unreadable=rows.examples(self._roles.key),
        )

    def _is_gone(self, position: dict[str, Any]) -> bool:
        """Return whether rows up to a position's time exist, but no row with the position's key."""
        if self._scalar(self._order.with_key(position)) is not None:
            return False
        return self._scalar(self._order.largest_key(position)) is not None

    def _known_by_time(self, after: Watermark, position: dict[str, Any]) -> Fetched:
        """Return the watermark of a reloaded table: rows up to the old watermark count as read."""
        moved = {**json.loads(after.position), RELOADED: True}
        if NEWEST_KEY in position:
            largest = self._scalar(self._order.largest_key(position))
            moved[NEWEST_KEY] = write_value(max(largest, position[NEWEST_KEY]))
        moved.pop(MISSING, None)
        text = (
            f"the row with key {position['key']} is gone and there are other rows up to its time: "
            f"the table was loaded again, and its rows up to {position['time']} count as read"
        )
        table = self._read(self._order.no_row(), 1).table
        watermark = replace(after, position=json.dumps(moved))
        return Fetched(table=table, watermark=watermark, more=True, warnings=(text,))

    def _check_keys(self, table: pd.DataFrame, position: dict[str, Any]) -> None:
        """Raise an error if keys restarted at a low number: new rows would look like old rows.

        Raises:
            SourceConfigError: keys are below keys that were read before and no longer exist.
        """
        newest_key = position.get(NEWEST_KEY)
        keys = table[self._roles.key]
        if newest_key is None or position.get(UNORDERED) or not len(keys):
            return
        if not pd.api.types.is_integer_dtype(keys) or int(keys.min()) > newest_key:
            return
        if self._may_continue(newest_key, position):
            return
        raise SourceConfigError(
            f"{self.describe()}: {self._roles.key} has restarted: {keys.min()} comes after "
            f"{newest_key}, which is gone",
            todo="configure a monitor with a new name, and a key whose values never repeat, such "
            f"as a key that a query makes of time and {self._roles.key}",
        )

    def _may_continue(self, newest_key: int, position: dict[str, Any]) -> bool:
        """Return whether keys may continue: the largest key did not fall, or the old row exists."""
        largest = self._scalar(self._order.largest_key())
        if largest is None or largest >= newest_key:
            return True
        return self._scalar(self._order.with_key(position)) is not None

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""
        query = self._order.in_order(until, newest=True)
        rows = self._read(query, limit, backwards=True)
        times = self._roles.times_of(rows.table[self._roles.time])
        waiting = len(rows.table) - believable(times, self._clock(), more=False)
        if waiting:
            rows = self._read(query.offset(waiting), limit, backwards=True)
            times = self._roles.times_of(rows.table[self._roles.time])
        mark = self._mark(rows, times, until, more=True)
        if until is None and mark is not None and NEWEST_KEY in position_of(mark):
            # All existing keys count as read, so older records are not read later.
            newest_key = write_value(self._scalar(self._order.largest_key()))
            position = {**json.loads(mark.position), NEWEST_KEY: newest_key}
            mark = replace(mark, position=json.dumps(position))
        return Fetched(
            table=rows.readable(),
            watermark=mark,
            more=False,
            waiting=waiting,
            times=rows.of_readable(times),
            unreadable=rows.examples(self._roles.key),
        )

    def count(self, limit: int) -> int:
        """Return how many records there are; stop counting at `limit`."""
        rows = sa.select(self._order.time).where(*self._order.has_place())
        some = rows.limit(limit).subquery("some")
        return int(self._scalar(sa.select(sa.func.count()).select_from(some)))

    def _scalar(self, query: sa.Select[Any]) -> Any:
        """Return the single raw value that a query returns; None if the query returns no row."""
        with self._explained(), self._database.connect() as connection:
            row = connection.execute(query).cursor.fetchone()
        return None if row is None else row[0]

    def describe(self) -> str:
        """Return the name of the table, or "query", and the address of the database."""
        return f"sql {self._table or 'query'} in {self._database.name}"

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
        if self._arrow is not None:
            self._arrow.close()

    def _read(self, query: sa.Select[Any], limit: int, *, backwards: bool = False) -> Rows:
        """Return the first `limit` rows of a query, oldest first."""
        with self._explained():
            return self._reader.read(query, limit, backwards=backwards)

    def _mark(
        self, rows: Rows, times: Times, given: Watermark | None, *, more: bool
    ) -> Watermark | None:
        table, last = rows.table, rows.newest
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
        gone = keys_given_up(given)
        position |= {GIVEN_UP: write_value(gone)} if gone else {}
        position |= about_keys(
            table[self._roles.key], position_of(given), None if more else self._clock(),
            sequence=self._roles.key != self._roles.time,
        )  # fmt: skip
        event_time = last_time(times)
        return Watermark(
            event_time=event_time or (given.event_time if given else None),
            record_key=str(last[self._roles.key]),
            position=json.dumps(position),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Replace an error of the database by aemon's error."""
        try:
            yield
        except self._database.errors as error:
            times = self._order.date_and_time or (self._roles.time,)
            roles = [role for role in (*times, self._roles.key, self._roles.entity) if role]
            raise explain(error, self._database, self._order, roles, self.describe()) from None
