"""`aemon codes`: the codes of a monitor's newest records as a Parquet file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words
from aemon.logs import escaped

if TYPE_CHECKING:
    from aemon.operations.code_export import ExportedCodes

MOST_NAMED = 5  # of the columns that come back worst


def codes(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    records: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many, the newest; by default 10000."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only of the last 7d or so, or from 2026-01-31T12:00 on.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before then, said the same way.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Export codes, a 2-D map, scores and verdicts of the newest records.

    Codes are those of the active detector's first member: members differ in
    what their codes mean. Also says how much smaller the codes are than the
    records, and how well these come back from them. Times are UTC.
    """
    from aemon.operations.code_export import RecordChoice, export_codes
    from aemon.operations.json_form import plain

    choice = RecordChoice(
        count=records, since=_moment(since, "--since"), until=_moment(until, "--until")
    )
    with open_installation(config) as installation:
        exported = export_codes(installation, monitor, out, choice)
    if exported.warning:
        typer.echo(escaped(exported.warning), err=True)
    if as_json:
        shown = plain(exported)
        del shown["warning"]
        print_json(shown)
    else:
        print_words(
            f"{out}: {exported.records} records of {monitor}, by detector {exported.detector}"
        )
        _print_compression(exported)


def _moment(text: str | None, option: str) -> datetime | None:
    """Read a time, in UTC if it has no zone; a duration counts back from now.

    Raises:
        BadParameter: the text is neither.
    """
    from aemon.clock import parse_duration, utc_now

    if text is None:
        return None
    try:
        return utc_now() - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a duration such as 15m or 7d nor a time such as 2026-01-31T12:00",
            param_hint=option,
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_compression(told: "ExportedCodes") -> None:
    print_words(
        f"codes take {told.code_bytes:,} bytes, the records {told.record_bytes:,} as float32: "
        f"{told.ratio:.0%}; they come back with a mean squared error of {told.error:.3g} spreads"
    )
    typer.echo()
    worst = list(told.by_column.items())[:MOST_NAMED]
    print_table(("comes back worst", "error"), [(name, f"{error:.3g}") for name, error in worst])
