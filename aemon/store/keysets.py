"""Conditions for lists that continue after a known row (keyset pagination)."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def is_before(columns: Sequence[sa.ColumnElement[Any]], row: Sequence[Any]) -> Any:
    """Return the condition that the columns are less than the values of a known row.

    A list in descending order of these columns continues with the rows that meet the condition.
    The condition compares row values, so that the database can start at a place in an index.
    """
    return sa.tuple_(*columns) < _bound(columns, row)


def is_behind(columns: Sequence[sa.ColumnElement[Any]], row: Sequence[Any]) -> Any:
    """Return the condition that the columns are greater than the values of a known row.

    A list in ascending order of these columns continues with the rows that meet the condition.
    """
    return sa.tuple_(*columns) > _bound(columns, row)


def _bound(columns: Sequence[sa.ColumnElement[Any]], row: Sequence[Any]) -> Any:
    pairs = zip(columns, row, strict=True)
    return sa.tuple_(*(sa.literal(value, column.type) for column, value in pairs))
