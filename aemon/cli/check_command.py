"""`aemon check`: whether the configuration works, before anything runs."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import INDENT, print_side_by_side, print_table, print_words, short_key
from aemon.errors import AemonError, ExitCode
from aemon.operations.opening import choose_monitors

if TYPE_CHECKING:
    from aemon.cli.first_look import FirstLook
    from aemon.config.schema import MonitorSettings

FIRST_RECORDS = 5


def check(
    monitors: Annotated[list[str] | None, typer.Argument(help="Only these monitors.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Validate the configuration, connect, show columns and first records.

    Says what each column is taken for, and why. Every monitor is checked
    even if one fails; the exit code is that of the first failure.
    """
    settings = read_config(config)
    names = choose_monitors(settings, monitors)
    store = _check_store(settings.store.get_secret_value())
    web = _check_web(settings.http.web_config)
    if not as_json:
        told = f"; tells {', '.join(settings.notify)}" if settings.notify else ""
        print_words(f"{config}: valid{told}")
        if web:
            print_words(web)
        print_words(f"store: {store['state']}", colour="red" if store["exit_code"] else None)
    reports = []
    for name in names:
        report = _check_monitor(name, settings.monitors[name])
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        print_json({"store": store, "monitors": reports})
    codes = [entry["exit_code"] for entry in (*reports, store) if entry["exit_code"]]
    if codes:
        raise typer.Exit(codes[0])


def _check_web(path: Path | None) -> str:
    """What is said of a web configuration; one that is wrong is an error."""
    if path is None:
        return ""
    from aemon.web.access import load_access

    ignored = load_access(path).settings.ignored
    return f"{path}: valid" + (f", but {ignored}" if ignored else "")


def _check_store(url: str) -> dict[str, Any]:
    from aemon.store.engine import open_engine
    from aemon.store.schema import revisions

    try:
        engine = open_engine(url)
        if revisions.is_file_missing(engine):
            folder = Path(str(engine.url.database)).parent
            if folder.is_dir():
                return {"state": "will be made at the first run", "exit_code": 0}
            state = f"the folder {folder} does not exist: make it, or correct `store`"
            return {"state": state, "exit_code": ExitCode.STORE}
        if revisions.current_revision(engine) is None:
            return {"state": "empty; its tables will be made at the first run", "exit_code": 0}
        differences = revisions.check(engine)
    except AemonError as error:
        return {"state": str(error), "exit_code": error.exit_code}
    if differences:
        return {"state": "; ".join(differences), "exit_code": ExitCode.STORE}
    return {"state": f"ready, schema {revisions.HEAD_REVISION}", "exit_code": 0}


def _check_monitor(name: str, settings: "MonitorSettings") -> dict[str, Any]:
    from aemon.cli.first_look import look

    try:
        seen = look(settings)
    except AemonError as error:
        return {
            "monitor": name,
            "error": error.message,
            "todo": error.todo,
            "exit_code": error.exit_code,
        }
    refusal = seen.refusal
    return {
        "monitor": name,
        "exit_code": refusal.exit_code if refusal else 0,
        **({"error": refusal.message, "todo": refusal.todo} if refusal else {}),
        "source": seen.source,
        "records_seen": len(seen.frame),
        "rejected": seen.frame.rejected,
        "warnings": list(seen.warnings),
        "columns": [
            {"column": column.column, "kind": column.kind, "reason": column.reason}
            for column in seen.columns
        ],
        "first_records": _first_records(seen),
    }


def _first_records(seen: "FirstLook") -> list[dict[str, Any]]:
    frame = seen.frame
    return [
        {
            "time": f"{frame.times[row]}+00:00",
            "key": frame.keys[row],
            "entity": frame.entities[row],
            "values": {
                str(column): _plain(value) for column, value in frame.values.iloc[row].items()
            },
        }
        for row in range(min(FIRST_RECORDS, len(frame)))
    ]


def _plain(value: Any) -> bool | float | str | None:
    """A cell as JSON has it."""
    import pandas as pd

    value = value.item() if hasattr(value, "item") else value
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _show(report: dict[str, Any]) -> None:
    typer.echo()
    name = report["monitor"]
    if "source" in report:
        print_words(f"{name}: {report['source']}, {report['records_seen']} records looked at")
        for reason, count in report["rejected"].items():
            print_words(f"{count} records rejected: {reason}", indent=INDENT, colour="yellow")
        for warning in report["warnings"]:
            print_words(warning, indent=INDENT, colour="yellow")
    if "error" in report:
        about, indent = ("", INDENT) if "source" in report else (f"{name}: ", "")
        print_words(f"{about}{report['error']}", indent=indent, colour="red")
        if report["todo"]:
            print_words(report["todo"], indent=indent + INDENT)
    if report.get("columns"):
        typer.echo()
        rows = [
            (column["column"], column["kind"], column["reason"]) for column in report["columns"]
        ]
        print_table(("column", "taken as", "why"), rows)
    if report.get("first_records"):
        typer.echo()
        _show_records(report["first_records"])


def _show_records(records: list[dict[str, Any]]) -> None:
    times = [record["time"].removesuffix("+00:00").replace("T", " ") for record in records]
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
        ("key", [short_key(record["key"]) for record in records]),
    ]
    if any(record["entity"] for record in records):
        rows.append(("entity", [record["entity"] for record in records]))
    rows += [
        (column, [record["values"][column] for record in records])
        for column in records[0]["values"]
    ]
    print_side_by_side(rows)
