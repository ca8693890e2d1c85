"""`aemon`: the commands, and the exit code of an error.

Modules of commands import only typer. torch, pandas and SQLAlchemy are imported inside functions,
so that `aemon --help` answers at once.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from aemon import __version__
from aemon.cli import (
    check_command,
    codes_command,
    config_commands,
    demo_command,
    detector_commands,
    doctor_command,
    mcp_command,
    notify_commands,
    reference_commands,
    rules_command,
    run_commands,
    status_command,
    store_commands,
    tune_command,
    web_commands,
)
from aemon.cli.results import (
    anomaly_commands,
    episode_commands,
    feedback_commands,
    rejected_command,
    report_command,
    snooze_commands,
)
from aemon.errors import AemonError, ExitCode
from aemon.logs import escaped

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
app.command()(config_commands.init)
app.command()(run_commands.run)
app.command()(check_command.check)
app.command()(run_commands.train)
app.command()(run_commands.score)
app.command()(status_command.status)
app.command()(doctor_command.doctor)
app.command()(rules_command.rules)
app.command()(anomaly_commands.anomalies)
app.command()(anomaly_commands.explain)
app.command()(rejected_command.rejected)
app.command()(report_command.report)
app.command()(feedback_commands.feedback)
app.command()(codes_command.codes)
app.command()(reference_commands.kinds)
app.command()(reference_commands.sources)
app.command()(reference_commands.docs)
app.command()(tune_command.tune)
app.command()(demo_command.demo)
app.command()(mcp_command.mcp)
app.add_typer(config_commands.config_app, name="config")
app.add_typer(episode_commands.app, name="episodes")
app.add_typer(snooze_commands.app, name="snooze")
app.add_typer(notify_commands.app, name="notify")
app.add_typer(detector_commands.app, name="detectors")
app.add_typer(store_commands.app, name="db")
app.add_typer(web_commands.app, name="web")


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
    """Run a command; print an error that aemon raises on purpose, and exit with its exit code."""
    # Set before NumPy loads: on a busy machine, a second thread makes small matrices far slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except AemonError as error:
        print(f"aemon: {escaped(error.message)}", file=sys.stderr)
        if error.todo:
            print(f"       {escaped(error.todo)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # the exit code that shells expect after Ctrl-C
    sys.exit(ExitCode.OK)
