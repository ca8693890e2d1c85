"""`aemon check`: a test of the configuration before anything runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import INDENT, print_side_by_side, print_table, print_words, short_key

if TYPE_CHECKING:
    from aemon.operations.monitor_check import FirstRecord, MonitorCheck


def check(
    monitors: Annotated[list[str] | None, typer.Argument(help="Only these monitors.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Validate the configuration; connect to sources; show columns and first records.

    Shows how each column is used, and why. Every monitor is checked even if
    one fails; the first failure decides the exit code.
    """
    from aemon.operations.installation import choose_monitors
    from aemon.operations.store_upkeep import check_store

    with open_installation(config) as installation:
        settings = installation.config
        names = choose_monitors(settings, monitors)
        store = check_store(installation)
        web = _check_web(settings.http.web_config)
        if not as_json:
            receivers = f"; notifies {', '.join(settings.notify)}" if settings.notify else ""
            print_words(f"{config}: valid{receivers}")
            if web:
                print_words(web)
            print_words(f"store: {store.state}", colour="red" if store.exit_code else None)
        from aemon.operations.monitor_check import check_monitor

        checks = []
        for name in names:
            checks.append(check_monitor(installation, name))
            if not as_json:
                _show(checks[-1])
    if as_json:
        print_json({"store": store, "monitors": [_fields(check) for check in checks]})
    failed = next(filter(None, [*(check.exit_code for check in checks), store.exit_code]), None)
    if failed:
        raise typer.Exit(failed)


def _check_web(path: Path | None) -> str:
    """Return a sentence about the web configuration; empty without a web configuration.

    Raises:
        ConfigError: the web configuration has a mistake.
    """
    if path is None:
        return ""
    from aemon.web.access import load_access

    ignored = load_access(path).settings.ignored
    return f"{path}: valid" + (f", but {ignored}" if ignored else "")


def _fields(check: "MonitorCheck") -> dict[str, Any]:
    """Return the fields of a check that have a value."""
    from aemon.operations.json_form import plain

    return {name: value for name, value in plain(check).items() if value is not None}


def _show(check: "MonitorCheck") -> None:
    typer.echo()
    name = check.monitor
    if check.source is not None:
        print_words(f"{name}: {check.source}, {check.records_seen} records were read")
        for reason, count in (check.rejected or {}).items():
            print_words(f"{count} records rejected: {reason}", indent=INDENT, colour="yellow")
        for warning in check.warnings or ():
            print_words(warning, indent=INDENT, colour="yellow")
    if check.error is not None:
        prefix, indent = ("", INDENT) if check.source is not None else (f"{name}: ", "")
        print_words(f"{prefix}{check.error}", indent=indent, colour="red")
        if check.todo:
            print_words(check.todo, indent=indent + INDENT)
    if check.columns:
        typer.echo()
        rows = [(column.column, column.kind, column.reason) for column in check.columns]
        print_table(("column", "used as", "why"), rows)
    if check.first_records:
        typer.echo()
        _show_records(check.first_records)


def _show_records(records: "Sequence[FirstRecord]") -> None:
    times = [record.time.removesuffix("+00:00").replace("T", " ") for record in records]
    seconds = [time.partition(".")[0] for time in times]
    exact = len(set(seconds)) < len(set(times))
    rows: list[tuple[str, list[object]]] = [
        (
            "time (UTC)",
            [
                time.rstrip("0") if exact else second
                for time, second in zip(times, seconds, strict=True)
            ],
        ),
        ("key", [short_key(record.key) for record in records]),
    ]
    if any(record.entity for record in records):
        rows.append(("entity", [record.entity for record in records]))
    rows += [
        (column, [record.values[column] for record in records]) for column in records[0].values
    ]
    print_side_by_side(rows)
