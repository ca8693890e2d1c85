"""`aemon db`: schema, export, import and removal of old rows of the results database."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words
from aemon.errors import ExitCode

app = typer.Typer(help="About the results database.", no_args_is_help=True)


@app.command()
def upgrade(config: ConfigOption = CONFIG_FILE) -> None:
    """Upgrade the schema for this version of aemon; create the tables if there are none."""
    from aemon.operations.store_upkeep import upgrade_schema

    with open_installation(config) as installation:
        done = upgrade_schema(installation)
    typer.echo(f"schema {done.before or 'none'} -> {done.after}")


@app.command()
def current(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Print the revision of the schema, and the revision that this version needs."""
    from aemon.operations.store_upkeep import schema_revision

    with open_installation(config) as installation:
        revision = schema_revision(installation)
    if as_json:
        print_json(revision)
    else:
        typer.echo(f"current {revision.current or 'none'}, needed {revision.needed}")


@app.command()
def check(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Compare the tables with what this version expects; fail if the tables differ."""
    from aemon.operations.store_upkeep import check_schema

    with open_installation(config) as installation:
        differences = check_schema(installation)
    if as_json:
        print_json(differences)
    else:
        for difference in differences or ("the tables are as expected",):
            print_words(difference)
    if differences:
        raise typer.Exit(ExitCode.STORE)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    config: ConfigOption = CONFIG_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write all results into one file, as a backup or for another database.

    A daemon may run meanwhile: the file holds the results of one moment.
    """
    from aemon.operations.store_upkeep import export_results

    with open_installation(config) as installation:
        counts = export_results(installation, file, force=force)
    _print_counts(counts.rows, as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file of `aemon db export`.", show_default=False)],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Read exported results into an empty database, all of them or none.

    Monitors continue where they stopped. First stop daemons that write to the
    database.
    """
    from aemon.operations.store_upkeep import import_results

    with open_installation(config) as installation:
        counts = import_results(installation, file)
    _print_counts(counts.rows, as_json)


@app.command()
def prune(
    config: ConfigOption = CONFIG_FILE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the rows that would be removed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove results that are older than `retention` in the configuration allows.

    The daemon removes such results itself, every `retention.every`.
    """
    from aemon.operations.store_upkeep import prune_results

    with open_installation(config) as installation:
        counts = prune_results(installation, dry_run=dry_run)
    _print_counts(counts.rows, as_json)


def _print_counts(counts: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        print_table(["table", "rows"], [(table, f"{rows:,}") for table, rows in counts.items()])
