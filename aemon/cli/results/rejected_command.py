"""`aemon rejected`: the rejected records of streams, with the reasons."""

from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, show_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aemon.store.inbox.rejected_records import RejectedRecord

_MOST_SHOWN = 240  # characters of a record; --json prints the whole stored text


def rejected(
    monitor: Annotated[str | None, typer.Argument(help="Only this monitor.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only records rejected at most this long ago: 15m, 7d.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="At most this number of records, newest first.")
    ] = 20,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List records that could not be kept or judged, with reason and text, newest first."""
    from aemon.clock import parse_duration, utc_now
    from aemon.operations.rejected_listing import list_rejected_records

    try:
        oldest = utc_now() - parse_duration(since) if since else None
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
    with open_installation(config) as installation:
        found = list_rejected_records(installation, monitor, since=oldest, limit=limit)
    if as_json:
        print_json(found)
    elif found:
        _print_rejected(found, one_monitor=monitor is not None)
    else:
        typer.echo("no record was rejected" + (f" in the last {since}" if since else ""))


def _print_rejected(found: "Sequence[RejectedRecord]", *, one_monitor: bool) -> None:
    columns: dict[str, list[str]] = {
        "rejected (UTC)": [show_time(record.received_at) for record in found],
        "monitor": [record.monitor for record in found],
        "reason": [record.reason for record in found],
    }
    if one_monitor:
        del columns["monitor"]
    rows = list(zip(*columns.values(), strict=True))
    print_table(list(columns), rows, notes=[_shown(record.record) for record in found])


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
