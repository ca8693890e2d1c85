"""`aemon init` writes a configuration file; `aemon config schema` prints its JSON Schema."""

from pathlib import Path
from typing import Annotated

import typer

from aemon.cli.output import CONFIG_FILE, print_json
from aemon.errors import ConfigError

config_app = typer.Typer(help="About the configuration file.", no_args_is_help=True)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = CONFIG_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL|PATH",
            help="Guess the configuration from this Prometheus, MQTT broker, database or file.",
        ),
    ] = None,
    listen: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds to listen to a broker.")
    ] = 10,
) -> None:
    """Write a commented aemon.yaml to start from."""
    from aemon.config.loading import example_text

    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", todo="choose another path, or add --force")
    text = example_text()
    if source is not None:
        from aemon.operations.first_config import write_config

        text = write_config(source, listen)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", todo="choose a path that can be written"
        ) from error
    todo = "set the source" if source is None else "correct the guesses that are wrong"
    typer.echo(f"wrote {path}: {todo}, then run `aemon check -c {path}`")


@config_app.callback()
def _config() -> None:
    pass


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from aemon.config.loading import config_schema

    print_json(config_schema())
