"""`aemon anomalies` and `aemon explain`: the flagged records, and the reasons."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, short_key, show_time
from aemon.records import Quiet

if TYPE_CHECKING:
    from aemon.store.lists.judged_records import JudgedRecord
    from aemon.store.queries import FlaggedRecord


def anomalies(
    monitor: Annotated[str | None, typer.Argument(help="Only this monitor.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only records with an event time at most this long ago: 15m, 7d."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="At most this number of records, newest first.")
    ] = 20,
    suppressed: Annotated[
        bool, typer.Option("--suppressed", help="List suppressed records instead, with reasons.")
    ] = False,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List flagged records, newest first."""
    from aemon.clock import parse_duration, utc_now
    from aemon.operations.flagged_records import list_flagged_records

    try:
        oldest = utc_now() - parse_duration(since) if since else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
    with open_installation(config) as installation:
        flagged = list_flagged_records(
            installation, monitor, since=oldest, limit=limit, suppressed=suppressed
        )
    if as_json:
        print_json(flagged)
    elif flagged:
        _print_flagged(flagged, one_monitor=monitor is not None)
    else:
        typer.echo(
            f"no record was {'suppressed' if suppressed else 'flagged'}"
            + (f" in the last {since}" if since else "")
        )


def _print_flagged(flagged: "Sequence[FlaggedRecord]", *, one_monitor: bool) -> None:
    columns: dict[str, list[str | None]] = {
        "time (UTC)": [show_time(record.event_time) for record in flagged],
        "monitor": [record.monitor for record in flagged],
        "entity": [record.entity for record in flagged],
        "record": [short_key(record.record_key) for record in flagged],
        "severity": [record.severity for record in flagged],
        "over": [f"{record.exceedance:.1f}x" for record in flagged],
        "p-value": [f"{record.p_value:.2g}" for record in flagged],
        "suppressed": [record.quiet for record in flagged],
    }
    if one_monitor:
        del columns["monitor"]
    for column in ("entity", "suppressed"):
        if not any(columns[column]):
            del columns[column]
    rows = list(zip(*columns.values(), strict=True))
    print_table(list(columns), rows, notes=[record.reason for record in flagged])


def explain(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    record_key: Annotated[str, typer.Argument(help="The record's key, as `anomalies` shows it.")],
    entity: Annotated[
        str | None, typer.Option(help="The record's entity, if several entities have this key.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Show why a record was flagged: the share, observed and expected value of each column."""
    from aemon.operations.flagged_records import explain_record
    from aemon.store.queries import FlaggedRecord

    with open_installation(config) as installation:
        record = explain_record(installation, monitor, record_key, entity)
    if as_json:
        print_json(record)
    elif isinstance(record, FlaggedRecord):
        _print_reasons(record)
    else:
        _print_not_flagged(record)


def _print_reasons(record: "FlaggedRecord") -> None:
    print_words(f"{_record_text(record)}: {record.severity}")
    print_words(record.reason)
    if record.quiet:
        print_words(f"suppressed: {Quiet(record.quiet).words}")
    print_words(
        f"score {record.score:.4g}{_raw(record)}, {record.exceedance:.2f} x the threshold "
        f"{record.threshold:.4g}; "
        f"p-value {record.p_value:.2g}; detector {record.detector_version}"
    )
    typer.echo()
    print_table(
        ("rank", "column", "observed", "expected", "share"),
        [
            (part.rank, part.column, part.observed, part.expected, f"{part.share:.1%}")
            for part in record.columns
        ],
    )


def _print_not_flagged(record: "JudgedRecord") -> None:
    from aemon.records import Verdict

    print_words(f"{_record_text(record)}: {record.verdict}")
    if record.verdict == Verdict.ABSENT:
        print_words(
            "the record has too few cells to judge: "
            f"{record.imputed_share:.0%} of its judged cells were missing"
        )
    elif record.verdict == Verdict.IDLE:
        print_words(
            "the record was not judged: columns.only_when does not hold, or not for long enough"
        )
    else:
        print_words("the record was not flagged")
    if record.p_value is not None and record.score is not None and record.exceedance is not None:
        print_words(
            f"score {record.score:.4g}{_raw(record)}, {record.exceedance:.2f} x the threshold; "
            f"p-value {record.p_value:.2g}"
        )


def _record_text(record: "FlaggedRecord | JudgedRecord") -> str:
    """Return key, entity and event time of a record as text."""
    entity = f" of {record.entity}" if record.entity else ""
    return f"record {record.record_key}{entity}, {show_time(record.event_time)} UTC"


def _raw(record: "FlaggedRecord | JudgedRecord") -> str:
    """Return the score before smoothing as text; empty if scores are not smoothed."""
    return "" if record.raw_score is None else f" ({record.raw_score:.4g} before smoothing)"
