"""`aemon anomalies`, `aemon explain`: what was flagged, and why."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words, short_key, show_time
from aemon.errors import AemonError, ExitCode
from aemon.operations.opening import choose_monitors, opened_results
from aemon.records import Quiet

if TYPE_CHECKING:
    from aemon.store.queries import FlaggedRecord, JudgedRecord
    from aemon.store.store import Store

_SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_MOST_NAMED = 10  # of the records or entities a key may mean


def anomalies(
    monitor: Annotated[str | None, typer.Argument(help="Only this monitor's.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only of the last 15m, 7d or so of event time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
    suppressed: Annotated[
        bool, typer.Option("--suppressed", help="Those that were kept quiet, and why.")
    ] = False,
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
    with opened_results(settings) as store:
        flagged = queries.flagged_records(
            store, monitor=monitor, since=oldest, limit=limit, suppressed=suppressed
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


def _print_flagged(flagged: "list[FlaggedRecord]", *, one_monitor: bool) -> None:
    columns: dict[str, list[str | None]] = {
        "time (UTC)": [show_time(record.event_time) for record in flagged],
        "monitor": [record.monitor for record in flagged],
        "entity": [record.entity for record in flagged],
        "record": [short_key(record.record_key) for record in flagged],
        "severity": [record.severity for record in flagged],
        "over": [f"{record.exceedance:.1f}x" for record in flagged],
        "p-value": [f"{record.p_value:.2g}" for record in flagged],
        "quiet": [record.quiet for record in flagged],
    }
    if one_monitor:
        del columns["monitor"]
    for column in ("entity", "quiet"):
        if not any(columns[column]):
            del columns[column]
    rows = list(zip(*columns.values(), strict=True))
    print_table(list(columns), rows, notes=[record.reason for record in flagged])


def explain(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    record_key: Annotated[str, typer.Argument(help="The record's key, as `anomalies` shows it.")],
    entity: Annotated[str | None, typer.Option(help="Its entity, if keys repeat.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Say why a record was flagged: each column's part, what was seen and what was expected."""
    from aemon.records import Verdict
    from aemon.store import queries

    settings = read_config(config)
    choose_monitors(settings, [monitor])
    with opened_results(settings) as store:
        judged = _one_record(store, monitor, record_key, entity)
        found = queries.flagged_records(
            store,
            monitor=monitor,
            entity=judged.entity,
            record_key=judged.record_key,
            suppressed=judged.verdict == Verdict.SUPPRESSED,
            limit=1,
        )
    if found:
        if as_json:
            print_json(found[0])
        else:
            _print_reasons(found[0])
    elif as_json:
        print_json({"monitor": monitor, **_fields(judged)})
    else:
        _print_not_flagged(judged)


def _one_record(store: "Store", monitor: str, key: str, entity: str | None) -> "JudgedRecord":
    """The record a person means.

    Raises:
        _UnknownRecordError: none was judged, or it cannot be told which.
    """
    from aemon.store.queries import judged_records

    found = judged_records(store, monitor, key)
    if not found and _SHORT_TIME.fullmatch(key):  # a time as it is shown, without its fraction
        found = judged_records(store, monitor, f"{key}.", prefix=True)
    if entity is not None:
        found = [record for record in found if record.entity == entity]
    if not found:
        whose = f" of {entity!r}" if entity is not None else ""
        raise _UnknownRecordError(
            f"{monitor} has judged no record {key!r}{whose}",
            todo="the records its first detector learned from are not judged; "
            "`aemon anomalies` lists those that were flagged",
        )
    if len(found) == 1:
        return found[0]
    keys = {record.record_key for record in found}
    entities = {record.entity for record in found}
    many = keys if len(entities) == 1 else entities
    names = ", ".join(repr(name) for name in sorted(many)[:_MOST_NAMED])
    more = f" and {len(many) - _MOST_NAMED} more" if len(many) > _MOST_NAMED else ""
    if len(entities) == 1:
        raise _UnclearRecordError(
            f"{monitor} has judged {len(found)} records {key!r}: {names}{more}",
            todo="give the whole key of one",
        )
    raise _UnclearRecordError(
        f"{monitor} has judged a record {key!r} of {len(entities)} entities: {names}{more}",
        todo="say which one with --entity",
    )


def _print_reasons(record: "FlaggedRecord") -> None:
    whose = f" of {record.entity}" if record.entity else ""
    print_words(
        f"record {record.record_key}{whose}, {show_time(record.event_time)} UTC: {record.severity}"
    )
    print_words(record.reason)
    if record.quiet:
        print_words(f"suppressed: {Quiet(record.quiet).words}")
    print_words(
        f"score {record.score:.4g}, {record.exceedance:.2f} x the threshold {record.threshold:.4g}; "
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

    whose = f" of {record.entity}" if record.entity else ""
    print_words(
        f"record {record.record_key}{whose}, {show_time(record.event_time)} UTC: {record.verdict}"
    )
    if record.verdict == Verdict.ABSENT:
        print_words(
            "too little of it was there to judge it: "
            f"{record.imputed_share:.0%} of its judged cells were missing"
        )
    else:
        print_words("it was not flagged")
    if record.p_value is not None and record.score is not None and record.exceedance is not None:
        print_words(
            f"score {record.score:.4g}, {record.exceedance:.2f} x the threshold; "
            f"p-value {record.p_value:.2g}"
        )


def _fields(record: "JudgedRecord") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(record)


class _UnknownRecordError(AemonError):
    exit_code = ExitCode.DATA


class _UnclearRecordError(AemonError):
    exit_code = ExitCode.USAGE
