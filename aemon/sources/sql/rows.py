"""Rows of a query as a table; a row at which the database fails does not hide other rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from aemon.frame import Roles
from aemon.sources.sql.arrow_reader import ArrowReader
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.faults import is_of_a_row
from aemon.sources.sql.reading_order import ReadingOrder
from aemon.sources.sql.row_by_row import read_apart

Times = npt.NDArray[np.datetime64]

_ROWS_AT_ONCE = 20_000  # held as Python objects at one time, before the rows become columns


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """The rows that a query returned.

    Attributes:
        table: the rows in reading order; an unreadable row has only time, key and entity.
        newest: the raw values of the newest row, by column.
        more: whether there are more rows.
        unreadable: position of a row in the table -> the database's message about the row.
    """

    table: pd.DataFrame
    newest: dict[str, Any]
    more: bool
    unreadable: Mapping[int, str] = field(default_factory=dict)

    def readable(self) -> pd.DataFrame:
        """Return the table without the unreadable rows."""
        if not self.unreadable:
            return self.table
        kept = self.table.drop(index=list(self.unreadable))
        return kept.reset_index(drop=True).infer_objects()

    def of_readable(self, times: Times) -> Times:
        """Return the event times of the readable rows, from the times (N,) of all rows."""
        return np.delete(times, list(self.unreadable)) if self.unreadable else times

    def first(self, count: int) -> "Rows":
        """Return only the first `count` rows; `more` is True in the result."""
        unreadable = {at: text for at, text in self.unreadable.items() if at < count}
        return replace(self, table=self.table.iloc[:count], more=True, unreadable=unreadable)

    def examples(self, key: str) -> tuple[str, ...]:
        """Return the key of each unreadable row with the database's message."""
        keys = self.table[key]
        return tuple(f"{key} {keys.iloc[at]}: {text}" for at, text in self.unreadable.items())


class RowReader:
    """A reader that runs the queries of one reading order.

    Args:
        database: the database to read.
        order: the reading order of the rows.
        roles: the columns that identify a row.
        arrow: a faster reader for suitable queries; None: there is no such reader.
    """

    def __init__(
        self,
        database: Database,
        order: ReadingOrder,
        roles: Roles,
        arrow: ArrowReader | None = None,
    ) -> None:
        self._database = database
        self._arrow = arrow
        self._order = order
        self._roles = roles

    def read(self, query: sa.Select[Any], limit: int, *, backwards: bool = False) -> Rows:
        """Return the first `limit` rows of a query.

        Args:
            query: a query of the reading order, without a limit.
            limit: maximum number of rows.
            backwards: the query returns the newest row first; `more` is then always False.

        Raises:
            Exception: one of the database's `errors`.
        """
        query = query.limit(limit if backwards else limit + 1)
        try:
            quick = None if self._arrow is None or backwards else self._arrow.read(query, limit)
            if quick is not None:
                table, newest, more = quick
                return Rows(table=table, newest=newest, more=more)
            return self._at_once(query, limit, backwards=backwards)
        except self._database.errors as error:
            if self._database.became_lenient(error):
                return self.read(query, limit, backwards=backwards)
            if not is_of_a_row(error):
                raise
            apart = read_apart(self._database, self._order, query, error)
        return self._rows(apart.names, apart.rows, limit, apart.unreadable, backwards=backwards)

    def _at_once(self, query: sa.Select[Any], limit: int, *, backwards: bool) -> Rows:
        parts: list[pd.DataFrame] = []
        newest: Sequence[Any] = ()
        left, more = limit, False
        with self._database.connect() as connection:
            # SQLAlchemy's own rows are not needed; making them would take half of the read's time.
            cursor: Any = connection.execute(query).cursor
            names = [column[0] for column in cursor.description]
            while left and (rows := cursor.fetchmany(min(left, _ROWS_AT_ONCE))):
                left -= len(rows)
                if not (backwards and newest):
                    newest = rows[0 if backwards else -1]
                parts.append(self._as_table(rows, names))
            more = not left and not backwards and cursor.fetchone() is not None
        table = _join(parts, [name for name in names if name not in self._order.date_and_time])
        if backwards:
            table = table.iloc[::-1].reset_index(drop=True)
        return Rows(table=table, newest=dict(zip(names, newest, strict=False)), more=more)

    def _rows(
        self,
        names: list[str],
        rows: Sequence[Sequence[Any]],
        limit: int,
        unreadable: Mapping[int, str],
        *,
        backwards: bool,
    ) -> Rows:
        """Return a table of rows that were read one by one, oldest first."""
        kept = {at: text for at, text in unreadable.items() if at < limit}
        more, rows = len(rows) > limit, rows[:limit]
        newest = dict(zip(names, rows[0 if backwards else -1], strict=True)) if rows else {}
        table = self._as_table(rows, names)
        if backwards:
            table = table.iloc[::-1].reset_index(drop=True)
            kept = {len(rows) - 1 - at: text for at, text in kept.items()}
        return Rows(table=table, newest=newest, more=more, unreadable=kept)

    def _as_table(self, rows: Sequence[Any], names: list[str]) -> pd.DataFrame:
        table = pd.DataFrame.from_records(rows, columns=names, coerce_float=True)
        for role in filter(None, (self._roles.key, self._roles.entity)):
            place = names.index(role) if role in names else None
            if place is None or table.dtypes.iloc[place].kind != "f":
                continue  # no decimal number has become a float
            if any(isinstance(row[place], Decimal) for row in rows):
                # As floats, large identifiers could become equal.
                table[role] = pd.Series([row[place] for row in rows], dtype=object)
        return table.drop(columns=list(self._order.date_and_time))


def _join(parts: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    if len(parts) > 1:
        # A column that is NULL in a whole part has the type object there.
        return pd.concat(parts, ignore_index=True).infer_objects()
    return parts[0] if parts else pd.DataFrame(columns=names)
