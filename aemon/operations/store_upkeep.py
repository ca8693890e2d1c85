"""Maintains the results database: schema, export, import, and removal of old rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aemon.errors import AemonError, ExitCode
from aemon.operations.installation import Installation
from aemon.store import retention
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.transfer import moving


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaUpgrade:
    """The revisions of the schema before and after an upgrade; None for an empty database."""

    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaRevision:
    """The present revision of the schema, and the revision that this version of aemon needs.

    The present revision is None for an empty database.
    """

    current: str | None
    needed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreState:
    """The state of the results database, in words and as an exit code: 0 if it can be used."""

    state: str
    exit_code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCounts:
    """The number of moved or removed rows, by table."""

    rows: Mapping[str, int]


def upgrade_schema(installation: Installation) -> SchemaUpgrade:
    """Upgrade the schema to the revision of this version; make the tables if there are none.

    Raises:
        SchemaError: the schema belongs to a newer version of aemon, or to another program.
        StoreError: the database fails.
    """
    engine = open_engine(installation.config.store.get_secret_value())
    before = revisions.current_revision(engine)
    revisions.upgrade(engine)
    return SchemaUpgrade(before=before, after=revisions.current_revision(engine))


def schema_revision(installation: Installation) -> SchemaRevision:
    """Return the schema's revision and the revision that this version needs.

    Raises:
        StoreError: the database fails.
    """
    engine = open_engine(installation.config.store.get_secret_value())
    return SchemaRevision(
        current=revisions.current_revision(engine), needed=revisions.HEAD_REVISION
    )


def check_schema(installation: Installation) -> tuple[str, ...]:
    """Return the differences between the tables and the schema of this version, a sentence each.

    Raises:
        SchemaError: the schema belongs to another version of aemon, or is missing.
        StoreError: the database fails.
    """
    return tuple(revisions.check(open_engine(installation.config.store.get_secret_value())))


def check_store(installation: Installation) -> StoreState:
    """Return whether the daemon can use the configured store; the store is not changed."""
    try:
        engine = open_engine(installation.config.store.get_secret_value())
        if revisions.is_file_missing(engine):
            folder = Path(str(engine.url.database)).parent
            if folder.is_dir():
                return _usable("will be made at the first run")
            return _unusable(f"the folder {folder} does not exist: make it, or correct `store`")
        if revisions.current_revision(engine) is None:
            return _usable("empty; its tables will be made at the first run")
        differences = revisions.check(engine)
    except AemonError as error:
        return StoreState(state=str(error), exit_code=error.exit_code)
    if differences:
        return _unusable("; ".join(differences))
    return _usable(f"ready, schema {revisions.HEAD_REVISION}")


def _usable(state: str) -> StoreState:
    return StoreState(state=state, exit_code=ExitCode.OK)


def _unusable(state: str) -> StoreState:
    return StoreState(state=state, exit_code=ExitCode.STORE)


def export_results(installation: Installation, file: Path, *, force: bool = False) -> RowCounts:
    """Write all results to one file; all rows are from the same moment.

    Raises:
        TransferError: the file exists and `force` is not given, or the file cannot be written.
        NoResultsError: there are no results yet.
    """
    return RowCounts(rows=moving.export(installation.store, file, force=force))


def import_results(installation: Installation, file: Path) -> RowCounts:
    """Import exported results into an empty database; after an error, no result is kept.

    Raises:
        TransferError: the file cannot be read, or the database is not empty.
        StoreError: the database fails.
    """
    moving.check(file)  # first, so that a bad file does not leave an empty database behind
    return RowCounts(rows=moving.import_(installation.prepare(), file))


def prune_results(installation: Installation, *, dry_run: bool = False) -> RowCounts:
    """Remove results that are older than `retention` allows; with `dry_run`, only count the rows.

    Raises:
        NoResultsError: there are no results yet.
        StoreError: the database fails.
    """
    store, settings = installation.store, installation.config.retention
    remove = retention.count_old if dry_run else retention.prune
    counts = remove(store, None, settings, store.now())
    if not dry_run:
        retention.drop_empty_partitions(store, settings, store.now())
    return RowCounts(rows=counts)
