"""`aemon db`: the results database: its schema, its way into a file and back, its old rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words
from aemon.errors import ExitCode
from aemon.operations.opening import opened_results

if TYPE_CHECKING:
    import sqlalchemy as sa

app = typer.Typer(help="About the results database.", no_args_is_help=True)


def _engine(config: Path) -> "sa.Engine":
    from aemon.store.engine import open_engine

    return open_engine(read_config(config).store.get_secret_value())


@app.command()
def upgrade(config: ConfigOption = CONFIG_FILE) -> None:
    """Bring the schema to this version's, making the tables if there are none."""
    from aemon.store.schema import revisions

    engine = _engine(config)
    before = revisions.current_revision(engine)
    revisions.upgrade(engine)
    typer.echo(f"schema {before or 'none'} -> {revisions.current_revision(engine)}")


@app.command()
def current(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Print the schema's revision and the one this version needs."""
    from aemon.store.schema import revisions

    revision = revisions.current_revision(_engine(config))
    if as_json:
        print_json({"current": revision, "needed": revisions.HEAD_REVISION})
    else:
        typer.echo(f"current {revision or 'none'}, needed {revisions.HEAD_REVISION}")


@app.command()
def check(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Compare the tables with what this version expects; fails if they differ."""
    from aemon.store.schema import revisions

    differences = revisions.check(_engine(config))
    if as_json:
        print_json(differences)
    else:
        for difference in differences or ["the tables are as expected"]:
            print_words(difference)
    if differences:
        raise typer.Exit(ExitCode.STORE)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    config: ConfigOption = CONFIG_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write all results into one file, to keep or to move to another database.

    A daemon may go on meanwhile: the file holds the results of one moment.
    """
    from aemon.store.transfer import moving

    with opened_results(read_config(config)) as store:
        counts = moving.export(store, file, force=force)
    _print_counts(counts, as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file of `aemon db export`.", show_default=False)],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Read exported results into an empty database; all of them or none.

    Monitors go on where they stood. Stop a daemon that writes to the database.
    """
    from aemon.clock import utc_now
    from aemon.store.schema import revisions
    from aemon.store.store import Store
    from aemon.store.transfer import moving

    moving.check(file)  # before a database is made for nothing
    engine = _engine(config)
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    try:
        counts = moving.import_(store, file)
    finally:
        store.close()
    _print_counts(counts, as_json)


@app.command()
def prune(
    config: ConfigOption = CONFIG_FILE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be removed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove results older than `retention` in the configuration allows.

    The daemon does so by itself, every `retention.every`.
    """
    from aemon.store import retention

    settings = read_config(config)
    with opened_results(settings) as store:
        counts = retention.prune(store, None, settings.retention, store.now(), dry_run=dry_run)
        if not dry_run:
            retention.drop_empty_partitions(store, settings.retention, store.now())
    _print_counts(counts, as_json)


def _print_counts(counts: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        print_table(["table", "rows"], [(table, f"{rows:,}") for table, rows in counts.items()])
