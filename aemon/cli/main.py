"""`aemon`: the commands, and what becomes of an error.

Only typer is imported here and beside every command: torch, pandas and SQLAlchemy load where they
are used, so that `aemon --help` answers at once.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from aemon import __version__
from aemon.cli import (
    check,
    codes,
    db,
    demo,
    detectors,
    doctor,
    episodes,
    feedback,
    kinds,
    look,
    notify,
    rules,
    settings,
    snooze,
    status,
    tune,
    work,
)
from aemon.errors import AemonError, ExitCode

app = typer.Typer(
    name="aemon",
    help="Watch records: learn what is normal, flag what is not, say why.",
    epilog="Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    + ".",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(settings.init)
app.command()(work.run)
app.command()(check.check)
app.command()(work.train)
app.command()(work.score)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(rules.rules)
app.command()(look.anomalies)
app.command()(look.explain)
app.command()(feedback.feedback)
app.command()(codes.codes)
app.command()(kinds.kinds)
app.command()(tune.tune)
app.command()(demo.demo)
app.add_typer(settings.config_app, name="config")
app.add_typer(episodes.app, name="episodes")
app.add_typer(snooze.app, name="snooze")
app.add_typer(notify.app, name="notify")
app.add_typer(detectors.app, name="detectors")
app.add_typer(db.app, name="db")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"aemon {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run a command; an error aemon raises on purpose becomes a message and an exit code."""
    # Before NumPy loads: with a busy neighbour, a second thread makes small matrices far slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except AemonError as error:
        print(f"aemon: {error.message}", file=sys.stderr)
        if error.todo:
            print(f"       {error.todo}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # what shells expect of a program ended by Ctrl-C
    sys.exit(ExitCode.OK)
