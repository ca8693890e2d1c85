"""`aemon detectors`: what was trained, on what, and whether it can be had again."""

from typing import Annotated, Any

import typer

from aemon.cli import succession_commands
from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words, show_time
from aemon.errors import ExitCode
from aemon.operations.opening import choose_monitors, one_monitor, opened_results

app = typer.Typer(help="About trained detectors.", no_args_is_help=True)
app.command()(succession_commands.promote)
app.command()(succession_commands.rollback)
app.command()(succession_commands.compare)

VersionArgument = Annotated[int, typer.Argument(help="The detector's version within its monitor.")]
MonitorOption = Annotated[
    str | None, typer.Option("--monitor", "-m", help="Whose; needed if there are several.")
]


@app.command("list")
def list_(
    config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None, as_json: JsonOption = False
) -> None:
    """List every detector that was trained."""
    from aemon.store.detectors import detector_rows

    settings = read_config(config)
    names = choose_monitors(settings, [monitor] if monitor else None)
    with opened_results(settings) as store:
        rows = [row for name in names for row in detector_rows(store, name)]
    if as_json:
        shown = (
            "monitor", "version", "state", "state_reason", "asked_by", "trained_at",
            "training_records", "threshold",
        )  # fmt: skip
        print_json([{name: row[name] for name in shown} for row in rows])
        return
    print_table(
        ("monitor", "detector", "state", "trained at", "records", "threshold", "promised"),
        [
            (
                row["monitor"], row["version"], row["state"], show_time(row["trained_at"]),
                row["training_records"], f"{row['threshold']:.4g}",
                f"{row['false_alarm_rate']:.3g}",
            )
            for row in rows
        ],
        notes=[row["state_reason"] for row in rows],
    )  # fmt: skip


@app.command()
def show(
    version: VersionArgument,
    config: ConfigOption = CONFIG_FILE,
    monitor: MonitorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a detector was trained on: its manifest."""
    from aemon.lifecycle.rebuilding import find_detector

    settings = read_config(config)
    name = one_monitor(settings, monitor)
    with opened_results(settings) as store:
        row = find_detector(store, name, version)
    if as_json:
        print_json(row)
        return
    for key, value in _shown(row).items():
        print_words(f"{key}: {value}")


@app.command()
def rebuild(
    version: VersionArgument,
    config: ConfigOption = CONFIG_FILE,
    monitor: MonitorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a detector again from its manifest and compare; stores nothing.

    Fails if it does not come to the same scores, and says what differs.
    """
    from dataclasses import asdict

    from rich.console import Console

    from aemon.clock import utc_now
    from aemon.lifecycle import rebuilding

    settings = read_config(config)
    name = one_monitor(settings, monitor)
    with opened_results(settings) as store, Console(stderr=True).status("training ..."):
        made = rebuilding.rebuild(name, settings.monitors[name], store, utc_now, version)
    if as_json:
        print_json({**asdict(made), "same": made.same})
    else:
        print_words(f"detector {version} of {name}: {_verdict(made)}")
    if not made.same:
        raise typer.Exit(ExitCode.FAILED)


def _verdict(made: Any) -> str:
    if made.same:
        gap = "the same scores" if made.largest_gap is not None else "the same line"
        return f"rebuilt from the same {made.records} records, {gap}"
    told = []
    if not made.same_records:
        told.append(f"the source's {made.records} records are not those it learned from")
    if not made.same_features:
        told.append("the feature map differs")
    if not made.same_line:
        told.append("the threshold differs")
    if made.largest_gap:
        told.append(f"scores differ by up to {made.largest_gap:.2g} of their value")
    told += [f"{name} was {then}, is {now}" for name, (then, now) in made.other_versions.items()]
    return "; ".join(told)


def _shown(row: dict[str, Any]) -> dict[str, str]:
    """A detector's row for people."""
    manifest = row["manifest"] or {}
    left_out = manifest.get("left_out", {})
    lines = manifest.get("lines", {})
    shown = {
        "monitor": row["monitor"],
        "detector": f"{row['version']}, {row['state']}, trained at {show_time(row['trained_at'])}",
        "asked for by": row["asked_by"] or "not written down",
        "state": row["state_reason"] or "not written down",
        "records": f"{row['training_records']} for the weights, {row['validation_records']} to try "
        f"it on, {row['calibration_records']} for the threshold",
        "event times": f"{show_time(row['trained_from'])} to {show_time(row['trained_until'])}",
        "source": manifest.get("source", "not written down"),
        "left out": ", ".join(f"{len(pairs)} {why}" for why, pairs in left_out.items()) or "none",
        "brought back": f"{len(manifest.get('brought_back', []))} false alarms",
        "could not be read": ", ".join(
            f"{count} {why}" for why, count in manifest.get("rejected", {}).items()
        )
        or "none",
        "feedback": f"{len(manifest.get('feedback', []))} taken up",
        "seed": str(row["seed"]),
        "threshold": f"{row['threshold']:.6g} by {row['method']}, for a false-alarm rate of "
        f"{row['false_alarm_rate']:.3g}",
    }
    calibrated = lines.get("without_feedback", {}).get("pooled")
    if calibrated is not None and calibrated != row["threshold"]:
        shown["threshold"] += f"; raised by false alarms from {calibrated:.6g}"
    for name in ("settings_hash", "feature_map_hash", "data_hash", "artifact_sha256"):
        shown[name.replace("_", " ")] = row[name] or "removed by retention"
    shown["versions"] = ", ".join(f"{name} {number}" for name, number in row["versions"].items())
    return shown
