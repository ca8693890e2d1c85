"""`aemon anomalies`, `aemon explain`: what was flagged, and why."""

from typing import Annotated

import typer

from aemon.cli.output import (
    CONFIG_FILE,
    ConfigOption,
    JsonOption,
    choose_monitors,
    opened_store,
    print_json,
    print_table,
    read_config,
)
from aemon.errors import AemonError, ExitCode


def anomalies(
    monitor: Annotated[str | None, typer.Argument(help="Only this monitor's.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only of the last 15m, 7d or so of event time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List flagged records, newest first."""
    from aemon.clock import parse_duration, utc_now
    from aemon.store import queries

    try:
        oldest = utc_now() - parse_duration(since) if since else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
    settings = read_config(config)
    if monitor is not None:
        choose_monitors(settings, [monitor])
    with opened_store(settings) as store:
        flagged = queries.flagged_records(store, monitor=monitor, since=oldest, limit=limit)
    if as_json:
        print_json(flagged)
        return
    if not flagged:
        typer.echo("no record was flagged" + (f" in the last {since}" if since else ""))
        return
    print_table(
        "flagged records",
        ("time (UTC)", "monitor", "entity", "record", "severity", "over", "p-value", "why"),
        [
            (
                f"{record.event_time:%Y-%m-%d %H:%M:%S}",
                record.monitor,
                record.entity,
                record.record_key,
                record.severity,
                f"{record.exceedance:.1f}x",
                f"{record.p_value:.2g}",
                record.reason,
            )
            for record in flagged
        ],
    )


def explain(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    record_key: Annotated[str, typer.Argument(help="The flagged record's key.")],
    entity: Annotated[str | None, typer.Option(help="Its entity, if keys repeat.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Say why a record was flagged: every column's part, what was seen and what was expected."""
    from aemon.store import queries

    settings = read_config(config)
    choose_monitors(settings, [monitor])
    with opened_store(settings) as store:
        found = queries.flagged_records(
            store, monitor=monitor, entity=entity, record_key=record_key, limit=2
        )
    if not found:
        raise _NotFlaggedError(
            f"{monitor} has flagged no record {record_key!r}",
            todo="`aemon anomalies` lists those it has flagged",
        )
    record = found[0]
    if as_json:
        print_json(record)
        return
    whose = f" of {record.entity}" if record.entity else ""
    typer.echo(
        f"record {record.record_key}{whose}, {record.event_time:%Y-%m-%d %H:%M:%S} UTC: "
        f"{record.severity}\n{record.reason}\n"
        f"score {record.score:.4g}, {record.exceedance:.2f} x the threshold {record.threshold:.4g}; "
        f"p-value {record.p_value:.2g}; detector {record.detector_version}"
    )
    print_table(
        "columns to blame",
        ("rank", "column", "observed", "expected", "share"),
        [
            (part.rank, part.column, part.observed, part.expected, f"{part.share:.1%}")
            for part in record.columns
        ],
    )


class _NotFlaggedError(AemonError):
    exit_code = ExitCode.DATA
