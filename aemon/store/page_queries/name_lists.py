"""Conditions with long lists of names, as one bound value."""

import json
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def is_among(
    connection: sa.Connection, column: sa.ColumnElement[str], names: Sequence[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of these names.

    SQLAlchemy writes an ordinary list value by value, which takes longer than the query for a
    thousand names, and databases limit the number of values.
    """
    if connection.dialect.name == "sqlite":
        listed = sa.func.json_each(json.dumps(list(names))).table_valued("value")
        return column.in_(sa.select(listed.c.value))
    array = sa.literal(list(names), postgresql.ARRAY(sa.Text))
    return column == sa.any_(array)
