"""Columns that SQLite does not look up in an index, so that a join begins with their table."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class NotLookedUp(sa.ColumnElement[Any]):
    """A column in a condition of a join, by which SQLite does not search its table.

    Without statistics, SQLite may read all scores to find the few of flagged records. With such
    columns of `anomalies` in the condition, it begins with `anomalies`. PostgreSQL has statistics,
    and sees the plain column.
    """

    inherit_cache = True
    __visit_name__ = "not_looked_up"
    _traverse_internals = [("column", sa.sql.visitors.InternalTraversal.dp_clauseelement)]  # noqa: RUF012 -- as SQLAlchemy reads it

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(NotLookedUp)
def _plain(element: NotLookedUp, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.column, **options)


@compiles(NotLookedUp, "sqlite")
def _marked(element: NotLookedUp, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.column, **options)}"
