"""Reads, checks and upgrades the schema revision of a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from aemon.config.values.addresses import public_address
from aemon.errors import SchemaError
from aemon.store.engine import reading, store_errors
from aemon.store.schema.tables import detectors, metadata, scores, thresholds
from aemon.store.schema.views import VIEWS

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

HEAD_REVISION = "0013"
"""The newest revision in `migrations/`. A constant is used because loading Alembic is slow."""


def migrations_folder() -> Path:
    """Return the folder of migrations, which is inside the package or in its parent folder.

    In an installed wheel, the folder is inside the package.
    """
    package = Path(__file__).resolve().parents[2]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def current_revision(engine: sa.Engine) -> str | None:
    """Return the schema revision of a store; None if the store has no schema.

    A missing SQLite file is not created.

    Raises:
        StoreError: the database cannot be reached.
    """
    if is_file_missing(engine):
        return None
    with store_errors(engine), reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def is_file_missing(engine: sa.Engine) -> bool:
    """Return whether the store is a SQLite file that does not exist.

    A connection would create the file.
    """
    url = engine.url
    if url.get_backend_name() != "sqlite":
        return False
    try:
        Path(str(url.database)).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # for example a folder without permission: the connection reports the cause
        return False
    return False


def upgrade(engine: sa.Engine) -> None:
    """Upgrade the schema of a store to the newest revision; create the tables of an empty store.

    Raises:
        SchemaError: the store is newer than this version of aemon.
        StoreError: the database cannot be reached, or holds tables of another program.
    """
    from alembic import command

    revision = current_revision(engine)
    if revision is not None and revision not in _known_revisions():
        raise _other_version(engine, revision)
    with store_errors(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # A lock, because two daemons may start on an empty database; SQLite locks by itself.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('aemon.schema'))"))
        command.upgrade(_alembic(connection), "head")


def check(engine: sa.Engine) -> list[str]:
    """Return the differences between the schema of a store and the expected schema, as sentences.

    Tables of other programs in the same database are ignored.

    Raises:
        SchemaError: the store has no schema, or the schema of another version of aemon.
        StoreError: the database cannot be reached.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    revision = current_revision(engine)
    if revision is None:
        raise SchemaError(
            f"the store {public_address(engine.url)} has no schema yet",
            todo="run `aemon db upgrade`",
        )
    _check_revision(engine, revision)
    options = {"compare_type": True, "include_object": is_ours}
    with store_errors(engine), engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
        views = sa.inspect(connection).get_view_names()
        lost = _orphans(connection) if not differences else []
    steps = [
        step for entry in differences for step in (entry if isinstance(entry, list) else [entry])
    ]
    steps = _without_parts_of_missing_tables(steps)
    missing = [f"view {view.name} is missing" for view in VIEWS if view.name not in views]
    sentences = [_sentence(step, engine.dialect) for step in steps]
    return [*dict.fromkeys(sentences), *missing, *lost]


def _orphans(connection: sa.Connection) -> list[str]:
    """Return sentences about scores whose detector or threshold is missing.

    The database does not check this, because `scores` has no foreign keys.
    """
    return [
        f"table scores: {count} rows refer to a {name[:-3]} that is missing"
        for name, table in (("detector_id", detectors), ("threshold_id", thresholds))
        if (
            count := connection.execute(
                sa.select(sa.func.count()).where(scores.c[name].not_in(sa.select(table.c.id)))
            ).scalar_one()
        )
    ]


def prepare(engine: sa.Engine) -> None:
    """Create the tables of an empty store, or check the schema revision of an existing store.

    Raises:
        SchemaError: the store is older or newer than this version of aemon.
        StoreError: the database cannot be reached.
    """
    revision = current_revision(engine)
    if revision is None:
        upgrade(engine)
    else:
        _check_revision(engine, revision)


def _check_revision(engine: sa.Engine, revision: str) -> None:
    if revision != HEAD_REVISION:
        raise _other_version(engine, revision)


def is_ours(subject: Any, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Return whether Alembic must compare an object of the schema.

    Partitions and tables of other programs are not compared. Foreign keys to partitions are not
    compared either: PostgreSQL repeats a foreign key to a partitioned table for every partition.
    """
    if kind == "foreign_key_constraint":
        return all(key.target_fullname.split(".")[0] in metadata.tables for key in subject.elements)
    return kind != "table" or name in metadata.tables


def _without_parts_of_missing_tables(steps: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return Alembic's differences without the indexes and other parts of missing tables.

    These parts are created with the table.
    """
    missing = {step[1].name for step in steps if step[0] == "add_table"}
    return [
        step
        for step in steps
        if step[0] == "add_table"
        or getattr(getattr(step[1], "table", None), "name", "") not in missing
    ]


def _sentence(step: tuple[Any, ...], dialect: Dialect) -> str:
    """Return a sentence about one difference that Alembic found, such as "table x is missing"."""
    action, subject, *more = step
    match action.partition("_"):
        case ("add" | "remove") as what, _, "table":
            return f"table {subject.name} {_LACK[what]}"
        case ("add" | "remove") as what, _, "column":
            return f"table {more[0]}: column {more[1].name} {_LACK[what]}"
        case "modify", _, ("comment" | "default" | "nullable" | "type") as what:
            return (
                f"table {more[0]}: column {more[1]} {_changed(what, more[-2], more[-1], dialect)}"
            )
        case ("add" | "remove") as what, _, "table_comment":
            return f"table {subject.name}: its comment is not as expected"
        case ("add" | "remove") as what, _, kind:
            columns = ", ".join(column.name for column in subject.columns)
            kind = {"fk": "foreign key"}.get(kind, kind)
            return f"table {subject.table.name}: {kind} on {columns} {_LACK[what]}"
    return f"table {getattr(subject, 'name', subject)}: {action.replace('_', ' ')}"


_LACK = {"add": "is missing", "remove": "is not expected"}


def _changed(what: str, stored: Any, expected: Any, dialect: Dialect) -> str:
    if what == "type":
        return f"is {stored}, not {expected.compile(dialect=dialect)}"
    if what == "nullable":
        return "allows null, but must not" if stored else "does not allow null, but must"
    return f"has an unexpected {what}"


def _known_revisions() -> set[str]:
    return {path.name.split("_")[0] for path in (migrations_folder() / "versions").glob("*.py")}


def _other_version(engine: sa.Engine, revision: str) -> SchemaError:
    known = revision in _known_revisions()
    return SchemaError(
        f"the store {public_address(engine.url)} has schema {revision}, "
        f"this aemon needs {HEAD_REVISION}",
        todo="run `aemon db upgrade`" if known else "install a newer aemon",
    )


def _alembic(connection: sa.Connection) -> "AlembicConfig":
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
