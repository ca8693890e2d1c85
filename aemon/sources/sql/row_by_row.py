"""Finds the rows at which a database fails, for example by a division by zero in a view.

First, aemon reads only the identities of the rows (time, key and entity), because the database
usually can read these columns. Then aemon reads the rows by identity; if the database fails at a
group of rows, each half of the group is read again. So each readable row is read, and the identity
of each unreadable row is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from aemon.errors import SourceConfigError
from aemon.sources.sql.connecting import Database
from aemon.sources.sql.faults import is_of_a_row
from aemon.sources.sql.reading_order import ReadingOrder

MOST_UNREADABLE = 100  # rows of one read; with more unreadable rows, the view itself is wrong
_AT_ONCE = 200  # rows in one statement, each with its time and key

Row = Sequence[Any]


@dataclass(kw_only=True)
class Apart:
    """Rows that were read one by one or in small groups.

    Attributes:
        names: names of the columns.
        rows: rows in the order of the query; an unreadable row has only time, key and entity.
        unreadable: position of a row in `rows` -> the database's message about the row.
    """

    names: list[str]
    rows: list[Row] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)


def read_apart(
    database: Database, order: ReadingOrder, query: sa.Select[Any], error: Exception
) -> Apart:
    """Read the rows of a query at which the database fails; return readable rows in full.

    Args:
        database: the database to read.
        order: the reading order of the rows.
        query: the query, with its limit.
        error: the error of the whole query, quoted if too many rows fail.

    Raises:
        SourceConfigError: too many rows are unreadable, or the identities of the rows cannot be
            read.
        Exception: one of the database's `errors`.
    """
    with database.connect() as connection:
        search = _Search(database, order, connection, error)
        listed = query.with_only_columns(*order.identity, maintain_column_froms=True)
        try:
            identities = [tuple(row) for row in _fetched(connection, listed)[1]]
        except database.errors as again:
            if not is_of_a_row(again):
                raise
            raise SourceConfigError(
                f"{database.name}: a row can be neither read nor skipped: the database computes "
                f"its values even if only {_named(order)} are read: {database.clean(again)}",
                todo="let the view or query return NULL for values it cannot compute; or, if a "
                "volatile function makes PostgreSQL compute every column, declare the function STABLE",
            ) from None
        return search.read(identities)


def _named(order: ReadingOrder) -> str:
    return " and ".join(str(column.name) for column in order.identity)


def _fetched(connection: sa.Connection, query: sa.Select[Any]) -> tuple[list[str], list[Row]]:
    cursor: Any = connection.execute(query).cursor
    return [column[0] for column in cursor.description], cursor.fetchall()


class _Search:
    """A search for the unreadable rows, which reads rows by their identity."""

    def __init__(
        self, database: Database, order: ReadingOrder, connection: sa.Connection, error: Exception
    ) -> None:
        self._database = database
        self._order = order
        self._connection = connection
        self._error = error
        self._apart = Apart(names=_fetched(connection, order.no_row())[0])
        self._places = [self._apart.names.index(str(one.name)) for one in order.identity]

    def read(self, identities: Sequence[Row]) -> Apart:
        for first in range(0, len(identities), _AT_ONCE):
            self._piece(identities[first : first + _AT_ONCE])
        return self._apart

    def _piece(self, identities: Sequence[Row]) -> None:
        """Read rows by identity; if the database fails, read each half of the rows."""
        try:
            _, rows = _fetched(self._connection, self._order.these(identities))
        except self._database.errors as error:
            self._connection.rollback()
            if len(identities) > 1:
                half = len(identities) // 2
                self._piece(identities[:half])
                self._piece(identities[half:])
            else:
                self._unreadable(identities[0], self._database.clean(error))
            return
        by_identity: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            by_identity.setdefault(tuple(repr(row[at]) for at in self._places), []).append(row)
        for identity in identities:
            found = by_identity.get(tuple(map(repr, identity)))
            if found:
                self._apart.rows.append(found.pop(0))
            else:
                self._unreadable(identity, "the row was not found by its time and key")

    def _unreadable(self, identity: Row, reason: str) -> None:
        if len(self._apart.unreadable) == MOST_UNREADABLE:
            raise SourceConfigError(
                f"{self._database.name}: more than {MOST_UNREADABLE} rows cannot be read: "
                f"{self._database.clean(self._error)}",
                todo="correct what the table, view or query computes",
            )
        self._apart.unreadable[len(self._apart.rows)] = reason
        row: list[Any] = [None] * len(self._apart.names)
        for at, value in zip(self._places, identity, strict=True):
            row[at] = value
        self._apart.rows.append(row)
