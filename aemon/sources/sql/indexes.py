"""Finds indexes that a table lacks and that would make reads fast."""

from collections.abc import Iterator

import sqlalchemy as sa

from aemon.sources.sql.reading_order import ReadingOrder

MANY_ROWS = 50_000
"""In a table with more rows, a read without an index is slow, because the read scans all rows."""


def missing_indexes(connection: sa.Connection, order: ReadingOrder) -> tuple[str, ...]:
    """Return a sentence for each index that a large table lacks; nothing for views and queries.

    Args:
        connection: a connection to the database of the table.
        order: the statements that read the table.
    """
    table = order.written
    if not isinstance(table, sa.TableClause) or order.date_and_time:
        return ()
    try:
        leading = set(_leading_columns(connection, table))
    except (sa.exc.SQLAlchemyError, NotImplementedError):
        return ()
    if leading & {None}:
        return ()
    needed = {"every read": (order.time, order.key), "the search for late records": (order.key,)}
    lacking = {
        purpose: columns for purpose, columns in needed.items() if columns[0].name not in leading
    }
    if not lacking or not _is_large(connection, order):
        return ()
    return tuple(
        f"{table.name} has more than {MANY_ROWS:,} rows and no index for {purpose}, which scans "
        f"all rows: {_statement(connection, table, [column.name for column in columns])}"
        for purpose, columns in lacking.items()
    )


def _statement(connection: sa.Connection, table: sa.TableClause, columns: list[str]) -> str:
    """Return the statement that makes an index, with names as the database quotes them."""
    quoting = connection.dialect.identifier_preparer
    name = quoting.quote("_".join([table.name, *columns]))
    listed = ", ".join(map(quoting.quote, columns))
    return f"CREATE INDEX {name} ON {quoting.format_table(table)} ({listed})"


def _leading_columns(connection: sa.Connection, table: sa.TableClause) -> Iterator[str | None]:
    """Yield the first column of the primary key and of each index; None if there is no table."""
    look = sa.inspect(connection)
    if table.name not in look.get_table_names(table.schema):
        yield None
        return
    primary = look.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    yield from primary[:1]
    for index in look.get_indexes(table.name, table.schema):
        yield from [column for column in index["column_names"][:1] if column is not None]


def _is_large(connection: sa.Connection, order: ReadingOrder) -> bool:
    some = sa.select(order.key).limit(MANY_ROWS + 1).subquery("some")
    return connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() > MANY_ROWS
