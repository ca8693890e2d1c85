"""`aemon detectors`: what was trained, on what, and whether it can be had again."""

from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli import succession_commands
from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, show_time
from aemon.errors import ExitCode

if TYPE_CHECKING:
    from aemon.lifecycle.rebuilding import Rebuilt
    from aemon.operations.detector_listing import DetectorDescription

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
    from aemon.operations.detector_listing import list_detectors

    with open_installation(config) as installation:
        listed = list_detectors(installation, monitor)
    if as_json:
        shown = (
            "monitor", "version", "state", "state_reason", "asked_by", "trained_at",
            "training_records", "threshold",
        )  # fmt: skip
        print_json([{name: getattr(one, name) for name in shown} for one in listed])
        return
    print_table(
        ("monitor", "detector", "state", "trained at", "records", "threshold", "promised"),
        [
            (
                one.monitor, one.version, one.state, show_time(one.trained_at),
                one.training_records, f"{one.threshold:.4g}", f"{one.false_alarm_rate:.3g}",
            )
            for one in listed
        ],
        notes=[one.state_reason for one in listed],
    )  # fmt: skip


@app.command()
def show(
    version: VersionArgument,
    config: ConfigOption = CONFIG_FILE,
    monitor: MonitorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a detector was trained on: its manifest."""
    from aemon.operations.detector_listing import show_detector

    with open_installation(config) as installation:
        detector = show_detector(installation, version, monitor)
    if as_json:
        print_json(detector)
        return
    for key, value in _shown(detector).items():
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
    from rich.console import Console

    from aemon.operations.json_form import plain
    from aemon.operations.succession_by_hand import rebuild_detector

    with open_installation(config) as installation:
        name = installation.monitor(monitor)
        with Console(stderr=True).status("training ..."):
            made = rebuild_detector(installation, version, name)
    if as_json:
        print_json({**plain(made), "same": made.same})
    else:
        print_words(f"detector {version} of {name}: {_verdict(made)}")
    if not made.same:
        raise typer.Exit(ExitCode.FAILED)


def _verdict(made: "Rebuilt") -> str:
    if made.same:
        gap = "the same scores" if made.largest_gap is not None else "the same line"
        return f"rebuilt from the same {made.records} records, {gap}"
    told = []
    if not made.same_records:
        told.append(f"the source's {made.records} records are not those it learned from")
    if not made.same_features:
        told.append("the feature map differs")
    if not made.same_threshold:
        told.append("the threshold differs")
    if made.largest_gap:
        told.append(f"scores differ by up to {made.largest_gap:.2g} of their value")
    told += [f"{name} was {then}, is {now}" for name, (then, now) in made.other_versions.items()]
    return "; ".join(told)


def _shown(detector: "DetectorDescription") -> dict[str, str]:
    """Return what there is to say of a detector, for people."""
    manifest = detector.manifest or {}
    left_out = manifest.get("left_out", {})
    lines = manifest.get("lines", {})
    shown = {
        "monitor": detector.monitor,
        "detector": f"{detector.version}, {detector.state}, trained at {show_time(detector.trained_at)}",
        "asked for by": detector.asked_by or "not written down",
        "state": detector.state_reason or "not written down",
        "records": f"{detector.training_records} for the weights, {detector.validation_records} to try "
        f"it on, {detector.calibration_records} for the threshold",
        "event times": f"{show_time(detector.trained_from)} to {show_time(detector.trained_until)}",
        "source": manifest.get("source", "not written down"),
        "left out": ", ".join(f"{len(pairs)} {why}" for why, pairs in left_out.items()) or "none",
        "brought back": f"{len(manifest.get('brought_back', []))} false alarms",
        "could not be read": ", ".join(
            f"{count} {why}" for why, count in manifest.get("rejected", {}).items()
        )
        or "none",
        "feedback": f"{len(manifest.get('feedback', []))} taken up",
        "seed": str(detector.seed),
        "threshold": f"{detector.threshold:.6g} by {detector.method}, for a false-alarm rate of "
        f"{detector.false_alarm_rate:.3g}",
    }
    calibrated = lines.get("without_feedback", {}).get("pooled")
    if calibrated is not None and calibrated != detector.threshold:
        shown["threshold"] += f"; raised by false alarms from {calibrated:.6g}"
    for name in ("settings_hash", "feature_map_hash", "data_hash", "artifact_sha256"):
        shown[name.replace("_", " ")] = getattr(detector, name) or "removed by retention"
    shown["versions"] = ", ".join(f"{name} {number}" for name, number in detector.versions.items())
    return shown
