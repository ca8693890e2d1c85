"""`aemon codes`: export of the codes of a monitor's newest records as a Parquet file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words
from aemon.logs import escaped

if TYPE_CHECKING:
    from aemon.operations.code_export import ExportedCodes

MOST_NAMED = 5  # columns with the largest reconstruction error


def codes(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    records: Annotated[
        int | None,
        typer.Option(min=1, help="At most this number of the newest records; default 10000."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only records from this time on: 7d for seven days ago, or 2026-01-31T12:00."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only records before this time, in the same form.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Export codes, a 2-D map, scores and verdicts of the newest records.

    The codes come from the active detector's first member, because codes of
    different members cannot be compared. Also prints how much smaller the codes
    are than the records, and the reconstruction error. Times are UTC.
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
    """Return the time that a text means: a time, or a duration before now.

    A time without a zone is UTC.

    Raises:
        BadParameter: the text is neither a time nor a duration.
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


def _print_compression(exported: "ExportedCodes") -> None:
    print_words(
        f"codes take {exported.code_bytes:,} bytes, the records {exported.record_bytes:,} as "
        f"float32: {exported.ratio:.0%}; the mean squared reconstruction error is "
        f"{exported.error:.3g}, where 1 is the variance in training"
    )
    typer.echo()
    worst = list(exported.by_column.items())[:MOST_NAMED]
    print_table(("largest error in", "error"), [(name, f"{error:.3g}") for name, error in worst])
