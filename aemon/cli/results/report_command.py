"""`aemon report`: one HTML page about a monitor in a period."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.errors import PermanentError

if TYPE_CHECKING:
    from datetime import datetime


def report(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    since: Annotated[
        str | None,
        typer.Option(
            help="Begin of the period: a duration before now (7d), or a time in UTC. "
            "Default: 7 days before its end."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the period. Default: the newest record.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; - prints the page. Default: MONITOR-report.html."),
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Write a report: what was watched, the episodes with pictures, and whether the target rate held.

    The report is one HTML file that loads nothing: it can be mailed, printed or
    kept. It comes from the results database alone.
    """
    from aemon.clock import utc_now
    from aemon.operations.reporting.report import make_report
    from aemon.operations.reporting.report_page import report_page

    now = utc_now()
    begin, end = _time(since, now, "--since"), _time(until, now, "--until")
    with open_installation(config) as installation:
        made = make_report(installation, monitor, since=begin, until=end)
    if as_json:
        print_json(made)
        return
    page = report_page(made)
    if out == Path("-"):
        typer.echo(page)
        return
    path = out or Path(f"{monitor}-report.html")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PermanentError(
            f"the report cannot be written to {path}: {error.strerror or error}",
            todo="name another file with --out, or print the page with --out -",
        ) from error
    typer.echo(f"{path}: {made.records} records, {len(made.episodes)} episodes")


def _time(text: str | None, now: "datetime", option: str) -> "datetime | None":
    from aemon.errors import QueryError
    from aemon.times.given_times import given_time

    if text is None:
        return None
    try:
        return given_time(text, now)
    except QueryError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
