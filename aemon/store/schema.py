"""Which schema a store has, and bringing it up to this version's."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from aemon.config.addresses import public_address
from aemon.errors import SchemaError
from aemon.store.engine import reading, store_errors
from aemon.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

HEAD_REVISION = "0001"
"""The newest revision in `migrations/`: a constant, so that starting up need not load Alembic."""


def migrations_folder() -> Path:
    """Where the migrations are: inside an installed wheel, or beside a checkout's package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def current_revision(engine: sa.Engine) -> str | None:
    """The store's revision; None if nothing has been made in it.

    Raises:
        StoreError: the database cannot be reached.
    """
    with store_errors(engine), reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: sa.Engine) -> None:
    """Bring the store to the newest revision, making its tables if there are none.

    Raises:
        SchemaError: the store is newer than this version of aemon.
    """
    from alembic import command

    revision = current_revision(engine)
    if revision is not None and revision not in _known_revisions():
        raise _other_version(engine, revision)
    with store_errors(engine), engine.begin() as connection:
        command.upgrade(_alembic(connection), "head")


def check(engine: sa.Engine) -> list[str]:
    """Where the store's tables differ from what this version expects, one line each."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store_errors(engine), engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def prepare(engine: sa.Engine) -> None:
    """Make the tables of an empty store; refuse a store of another version.

    Raises:
        SchemaError: the store is older or newer than this version of aemon.
        StoreError: the database cannot be reached.
    """
    revision = current_revision(engine)
    if revision is None:
        upgrade(engine)
        return
    if revision == HEAD_REVISION:
        return
    raise _other_version(engine, revision)


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
