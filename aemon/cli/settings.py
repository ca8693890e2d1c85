"""`aemon init`, `aemon check`, `aemon config`: the configuration, before anything runs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import (
    CONFIG_FILE,
    ConfigOption,
    JsonOption,
    choose_monitors,
    print_json,
    print_table,
    read_config,
)
from aemon.errors import AemonError, ConfigError, ExitCode

if TYPE_CHECKING:
    from aemon.config.schema import MonitorSettings
    from aemon.detection.features import FeatureMap
    from aemon.frame import Frame

FIRST_ROWS = 5
_LIVE_SECONDS = 3.0  # how long `check` waits for a live source's first record

config_app = typer.Typer(help="About the configuration file.", no_args_is_help=True)


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = CONFIG_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented aemon.yaml to start from."""
    from aemon.config.example import example_text

    if path.exists() and not force:
        raise ConfigError(f"{path} is there already", todo="choose another path, or add --force")
    try:
        path.write_text(example_text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", todo="choose a path that can be written"
        ) from error
    typer.echo(f"wrote {path}: set its source, then run `aemon check -c {path}`")


@config_app.callback()
def _config() -> None:
    pass


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from aemon.config.loading import config_schema

    print_json(config_schema())


def check(
    monitors: Annotated[list[str] | None, typer.Argument(help="Only these monitors.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Validate the configuration, connect, show what each column is taken for and the first rows.

    Every monitor is checked even if one fails; the exit code is that of the first failure.
    """
    settings = read_config(config)
    reports = [
        _check_monitor(name, settings.monitors[name])
        for name in choose_monitors(settings, monitors)
    ]
    store = _check_store(settings.store.get_secret_value())
    if as_json:
        print_json({"store": store, "monitors": reports})
    else:
        typer.echo(f"{config}: valid; store: {store['state']}")
        for report in reports:
            _show(report)
    codes = [entry["exit_code"] for entry in (*reports, store) if entry["exit_code"]]
    if codes:
        raise typer.Exit(codes[0])


def _check_store(url: str) -> dict[str, Any]:
    from aemon.store import schema as store_schema
    from aemon.store.engine import open_engine

    try:
        engine = open_engine(url)
        if (
            engine.url.get_backend_name() == "sqlite"
            and not Path(engine.url.database or "").exists()
        ):
            return {"state": "will be made at the first run", "exit_code": 0}
        revision = store_schema.current_revision(engine)
    except AemonError as error:
        return {"state": str(error), "exit_code": error.exit_code}
    if revision is None:
        return {"state": "empty; its tables will be made at the first run", "exit_code": 0}
    if revision != store_schema.HEAD_REVISION:
        state = f"schema {revision}, needs {store_schema.HEAD_REVISION}: run `aemon db upgrade`"
        return {"state": state, "exit_code": ExitCode.STORE}
    return {"state": f"ready, schema {revision}", "exit_code": 0}


def _check_monitor(name: str, settings: "MonitorSettings") -> dict[str, Any]:
    report: dict[str, Any] = {"monitor": name, "exit_code": 0}
    try:
        features, frame, source = _look(settings)
    except AemonError as error:
        return {**report, "error": error.message, "todo": error.todo, "exit_code": error.exit_code}
    first = frame.values.head(FIRST_ROWS)
    report |= {
        "source": source,
        "records_seen": len(frame),
        "rejected": frame.rejected,
        "columns": [
            {"column": column.column, "kind": column.kind, "reason": column.reason}
            for column in (features.columns if features else ())
        ],
        "first_rows": [
            {
                "time": str(frame.times[row]),
                "key": frame.keys[row],
                "entity": frame.entities[row],
                **{column: str(value) for column, value in first.iloc[row].items()},
            }
            for row in range(len(first))
        ],
    }
    if features is None:
        report["warning"] = "no records yet: aemon will collect them"
    return report


def _look(settings: "MonitorSettings") -> tuple["FeatureMap | None", "Frame", str]:
    """Read the first records of a source the way the daemon would."""
    from aemon.clock import utc_now
    from aemon.detection.features import fit_features
    from aemon.frame import check_frame
    from aemon.sources.registry import open_source

    source = open_source(settings.source, clock=utc_now)
    try:
        fetched = source.fetch(None, settings.min_records)
        deadline = time.monotonic() + _LIVE_SECONDS
        while not source.replayable and len(fetched.table) == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
            fetched = source.fetch(None, settings.min_records)
        frame = check_frame(fetched.table, source.roles)
        described = source.describe()
    finally:
        source.close()
    return (fit_features(frame, settings.columns) if len(frame) else None), frame, described


def _show(report: dict[str, Any]) -> None:
    name = report["monitor"]
    if "error" in report:
        typer.secho(f"\n{name}: {report['error']}", fg="red")
        typer.echo(f"  {report['todo']}")
        return
    typer.echo(f"\n{name}: {report['source']}, {report['records_seen']} records looked at")
    for reason, count in report["rejected"].items():
        typer.secho(f"  {count} records rejected: {reason}", fg="yellow")
    if "warning" in report:
        typer.secho(f"  {report['warning']}", fg="yellow")
    rows = [(column["column"], column["kind"], column["reason"]) for column in report["columns"]]
    if rows:
        print_table("columns", ("column", "taken as", "why"), rows)
    if report["first_rows"]:
        headings = list(report["first_rows"][0])
        print_table("first records", headings, [list(r.values()) for r in report["first_rows"]])
