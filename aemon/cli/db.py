"""`aemon db`: the results database's schema."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.tables import print_words
from aemon.errors import ExitCode

if TYPE_CHECKING:
    import sqlalchemy as sa

app = typer.Typer(help="About the results database.", no_args_is_help=True)


def _engine(config: Path) -> "sa.Engine":
    from aemon.store.engine import open_engine

    return open_engine(read_config(config).store.get_secret_value())


@app.command()
def upgrade(config: ConfigOption = CONFIG_FILE) -> None:
    """Bring the schema to this version's, making the tables if there are none."""
    from aemon.store import schema

    engine = _engine(config)
    before = schema.current_revision(engine)
    schema.upgrade(engine)
    typer.echo(f"schema {before or 'none'} -> {schema.current_revision(engine)}")


@app.command()
def current(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Print the schema's revision and the one this version needs."""
    from aemon.store import schema

    revision = schema.current_revision(_engine(config))
    if as_json:
        print_json({"current": revision, "needed": schema.HEAD_REVISION})
    else:
        typer.echo(f"current {revision or 'none'}, needed {schema.HEAD_REVISION}")


@app.command()
def check(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Compare the tables with what this version expects; fails if they differ."""
    from aemon.store import schema

    differences = schema.check(_engine(config))
    if as_json:
        print_json(differences)
    else:
        for difference in differences or ["the tables are as expected"]:
            print_words(difference)
    if differences:
        raise typer.Exit(ExitCode.STORE)
