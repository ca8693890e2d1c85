"""Conditions that the lists of results share."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from aemon.store.keysets import is_before


class Narrowed(TypedDict, total=False):
    """Conditions on the rows of a list; a condition that is absent or None excludes no row.

    Keys:
        entity: only rows of this entity.
        since: only rows at or after this time.
        until: only rows before this time.
        after: the key of a row; only rows after this row in the list.
    """

    entity: str | None
    since: datetime | None
    until: datetime | None
    after: Collection[Any] | None


def of_monitors(column: sa.ColumnElement[Any], monitors: Collection[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to one of these monitors.

    For several monitors, the condition keeps the database from using an index of monitors: all
    rows of these monitors would have to be read and sorted. The index that orders the list is
    faster, because its first rows are already the result.
    """
    if len(monitors) == 1:
        return column == next(iter(monitors))
    return sa.func.coalesce(column, "").in_(monitors)


def narrowed(
    table: sa.FromClause,
    key: tuple[sa.ColumnElement[Any], ...],
    wanted: Narrowed,
    time: sa.ColumnElement[Any] | None = None,
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions on a table as SQL.

    Args:
        table: the table, with the column `entity` if `wanted` has an entity.
        key: the columns that order the list, each in descending order.
        wanted: the conditions.
        time: the column of `since` and `until`; None for the first column of the key.
    """
    time = key[0] if time is None else time
    if (entity := wanted.get("entity")) is not None:
        yield table.c.entity == entity
    if (since := wanted.get("since")) is not None:
        yield time >= since
    if (until := wanted.get("until")) is not None:
        yield time < until
    if (after := wanted.get("after")) is not None:
        yield is_before(key, tuple(after))
