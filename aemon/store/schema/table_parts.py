"""Functions that build tables: columns, references to monitors, and the identity of a record."""

from typing import Any

import sqlalchemy as sa

from aemon.store.schema.column_types import Identifier

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


def column(name: str, kind: Any, comment: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    """Return a column with a comment; the column is NOT NULL unless `nullable` is True."""
    options.setdefault("nullable", False)
    return sa.Column(name, kind, *extra, comment=comment, **options)


def table(name: str, *parts: Any, comment: str, **options: Any) -> sa.Table:
    """Return a table with a comment; the table is STRICT in SQLite."""
    return sa.Table(name, metadata, *parts, comment=comment, sqlite_strict=True, **options)


def monitor(*extra: Any, **options: Any) -> sa.Column[Any]:
    """Return the column `monitor`, which holds the monitor's name, so that queries need no join."""
    return column("monitor", sa.Text, "the monitor's name", *extra, **options)


def of_monitors() -> sa.ForeignKey:
    """Return a foreign key to the table `monitors`."""
    return sa.ForeignKey("monitors.name")


def record_identity(*extra: Any) -> tuple[sa.Column[Any], ...]:
    """Return the columns that identify one revision of a record's verdict."""
    entity = "the thing the record belongs to; empty if none"
    return (
        monitor(*extra, primary_key=True),
        column(
            "record_key", Identifier, "the record's key in its source, as text", primary_key=True
        ),
        column("entity", Identifier, entity, primary_key=True),
        column("revision", sa.Integer, "1 for the first score of a record", primary_key=True),
    )
