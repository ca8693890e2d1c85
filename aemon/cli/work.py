"""`aemon run`, `aemon train`, `aemon score`: the daemon, and its two jobs by hand."""

import logging
import os
from typing import TYPE_CHECKING, Annotated

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
from aemon.errors import ExitCode

if TYPE_CHECKING:
    from aemon.records import RunReport

MonitorsArgument = Annotated[list[str] | None, typer.Argument(help="Only these monitors.")]


def run(config: ConfigOption = CONFIG_FILE) -> None:
    """Watch all monitors until SIGTERM or Ctrl-C."""
    from aemon.service.daemon import run_daemon
    from aemon.service.logs import set_up_logs

    settings = read_config(config)
    set_up_logs(settings.log.level, settings.log.format)
    code = run_daemon(settings)
    # A thread that hangs in a source would be waited for at a normal exit. All is written.
    logging.shutdown()
    os._exit(code)


def train(
    monitors: MonitorsArgument = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Train a detector now and make it the active one."""
    from rich.console import Console

    from aemon.clock import utc_now
    from aemon.service.training import train_once

    settings = read_config(config)
    names = choose_monitors(settings, monitors)
    results = []
    with opened_store(settings) as store:
        for name in names:
            with Console(stderr=True).status(f"training {name} ..."):
                trained = train_once(name, settings.monitors[name], store, utc_now)
            results.append((name, trained))
    if as_json:
        from dataclasses import asdict

        print_json([{"monitor": name, **asdict(trained)} for name, trained in results])
        return
    print_table(
        "trained",
        ("monitor", "detector", "records", "left out", "seconds", "validation error", "threshold"),
        [
            (
                name,
                made.version,
                made.records,
                made.excluded,
                f"{made.seconds:.1f}",
                f"{made.validation_error:.4g}",
                f"{made.threshold:.4g}",
            )
            for name, made in results
        ],
    )


def score(
    monitors: MonitorsArgument = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Judge all new records once, as the daemon would, and end."""
    settings = read_config(config)
    names = choose_monitors(settings, monitors)
    with opened_store(settings) as store:
        from aemon.service.once import score_monitors

        reports = score_monitors({name: settings.monitors[name] for name in names}, store)
    _print_runs(reports, as_json=as_json)
    if any(report.outcome in {"failed", "timed_out"} for report in reports):
        raise typer.Exit(ExitCode.FAILED)
    if all(report.outcome == "collecting" for report in reports):
        raise typer.Exit(ExitCode.NO_DETECTOR)


def _print_runs(reports: "list[RunReport]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "monitor": report.monitor,
                    "outcome": report.outcome,
                    "reason": report.reason,
                    "records_read": report.records_read,
                    "records_scored": report.records_scored,
                    "anomalies": report.anomalies,
                    "rejected": dict(report.rejected),
                    "seconds": report.seconds,
                }
                for report in reports
            ]
        )
        return
    print_table(
        "scored",
        ("monitor", "outcome", "read", "scored", "flagged", "rejected", "seconds", "reason"),
        [
            (
                report.monitor,
                report.outcome,
                report.records_read,
                report.records_scored,
                report.anomalies,
                report.records_rejected,
                f"{report.seconds:.2f}",
                report.reason,
            )
            for report in reports
        ],
    )
