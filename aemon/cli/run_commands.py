"""`aemon run`, `aemon train` and `aemon score`: the daemon, and its two jobs by hand."""

import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import (
    CONFIG_FILE,
    ConfigOption,
    JsonOption,
    open_installation,
    print_json,
    read_config,
)
from aemon.cli.printed_tables import print_table
from aemon.errors import AemonError, ConfigError, ExitCode
from aemon.logs import escaped

if TYPE_CHECKING:
    from aemon.lifecycle.training_run import Trained
    from aemon.run_report import RunReport

MonitorsArgument = Annotated[list[str] | None, typer.Argument(help="Only these monitors.")]


def run(config: ConfigOption = CONFIG_FILE) -> None:
    """Watch all monitors until SIGTERM or Ctrl-C."""
    from aemon.daemon.daemon import run_daemon
    from aemon.doctor.diagnosis import diagnose
    from aemon.logs import set_up_logs

    settings = read_config(config)
    set_up_logs(settings.log.level, settings.log.format)
    code = run_daemon(settings, path=config, diagnose=lambda: diagnose(config))
    # A normal exit would wait for a thread that hangs in a source. All results are written.
    logging.shutdown()
    os._exit(code)


def train(
    monitors: MonitorsArgument = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Train a detector now, and make it the active detector.

    Every monitor is trained even if one fails; the first failure decides the
    exit code.
    """
    from rich.console import Console

    from aemon.operations.installation import choose_monitors
    from aemon.operations.training_by_hand import train_detector

    trained: list[tuple[str, Trained]] = []
    failed: list[tuple[str, AemonError]] = []
    with open_installation(config) as installation:
        names = choose_monitors(installation.config, monitors)
        installation.prepare()  # a store that is unusable fails once, not for every monitor
        for name in names:
            try:
                with Console(stderr=True).status(f"training {name} ..."):
                    made = train_detector(installation, name)
                trained.append((name, made))
            except AemonError as error:
                failed.append((name, error))
                typer.echo(escaped(f"{name}: {str(error).removeprefix(f'{name}: ')}"), err=True)
    _print_trained(trained, failed, as_json=as_json)
    if failed:
        raise typer.Exit(failed[0][1].exit_code)


def _print_trained(
    trained: "list[tuple[str, Trained]]", failed: list[tuple[str, AemonError]], *, as_json: bool
) -> None:
    if as_json:
        from dataclasses import asdict

        made = [{"monitor": name, **asdict(result)} for name, result in trained]
        not_made = [
            {"monitor": name, "error": error.message, "todo": error.todo} for name, error in failed
        ]
        print_json([*made, *not_made])
        return
    print_table(
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
            for name, made in trained
        ],
        notes=[made.summary for _, made in trained],
    )


def score(
    monitors: MonitorsArgument = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Judge known records again, with the active detector."),
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(help="With --again: only records from this event time on, in UTC."),
    ] = None,
) -> None:
    """Judge all new records once, as the daemon does, and end.

    With --again, a known record gets a new revision if its values, its
    detector or its threshold changed. The old revision stays, with the time
    until which it was valid.
    """
    if since is not None and not again:
        raise ConfigError("--since needs --again", todo="add --again, or remove --since")
    from aemon.daemon.once import score_monitors, score_monitors_again
    from aemon.operations.installation import choose_monitors

    with open_installation(config) as installation:
        settings = installation.config.monitors
        chosen = {name: settings[name] for name in choose_monitors(installation.config, monitors)}
        store = installation.prepare()
        store.add_monitors(settings)
        _log_what_no_table_shows()
        if again:
            from_time = since and since.replace(tzinfo=since.tzinfo or UTC)
            reports = score_monitors_again(chosen, store, from_time)
        else:
            reports = score_monitors(chosen, store)
    _print_runs(reports, as_json=as_json)
    if any(report.outcome in {"failed", "timed_out", "abandoned"} for report in reports):
        raise typer.Exit(ExitCode.FAILED)
    if all(report.outcome == "collecting" for report in reports):
        raise typer.Exit(ExitCode.NO_DETECTOR)


def _log_what_no_table_shows() -> None:
    """Log warnings on standard error, except those that the printed table shows."""
    import sys

    from aemon.logs import TextFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(TextFormatter())
    shown = ("score.", "anomaly")
    handler.addFilter(lambda record: not getattr(record, "action", "").startswith(shown))
    logging.getLogger("aemon").addHandler(handler)


def _reason(report: "RunReport") -> str:
    """Return the reason of a run; if a first training is due, name the command that starts it."""
    from aemon.lifecycle.cold_start import FIRST_TRAINING

    return report.reason.replace(FIRST_TRAINING, ": run `aemon train`")


def _print_runs(reports: "list[RunReport]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "monitor": report.monitor,
                    "outcome": report.outcome,
                    "reason": _reason(report),
                    "records_read": report.counts.records_read,
                    "records_scored": report.counts.records_scored,
                    "records_revised": report.counts.records_revised,
                    "anomalies": report.counts.anomalies,
                    "rejected": dict(sorted(report.counts.rejected.items())),
                    "seconds": report.seconds,
                }
                for report in reports
            ]
        )
        return
    print_table(
        ("monitor", "outcome", "read", "scored", "revised", "flagged", "rejected", "seconds"),
        [
            (
                report.monitor,
                report.outcome,
                report.counts.records_read,
                report.counts.records_scored,
                report.counts.records_revised,
                report.counts.anomalies,
                report.counts.records_rejected,
                f"{report.seconds:.2f}",
            )
            for report in reports
        ],
        notes=[_reason(report) for report in reports],
    )
