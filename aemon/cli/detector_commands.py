"""`aemon detectors`: lists and shows trained detectors, and trains a detector again."""

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
    str | None, typer.Option("--monitor", "-m", help="The monitor, if there are several.")
]


@app.command("list")
def list_(
    config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None, as_json: JsonOption = False
) -> None:
    """List all trained detectors."""
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
        ("monitor", "detector", "state", "trained at", "records", "threshold", "target"),
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
    """Print the manifest of a detector: its training set, settings, versions and hashes."""
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
    """Train a detector again from its manifest, compare both detectors, store nothing.

    Fails if the result is not the same, and says what differs.
    """
    from rich.console import Console

    from aemon.operations.json_form import plain
    from aemon.operations.succession_by_hand import rebuild_detector

    with open_installation(config) as installation:
        name = installation.monitor(monitor)
        with Console(stderr=True).status("training ..."):
            rebuilt = rebuild_detector(installation, version, name)
    if as_json:
        print_json({**plain(rebuilt), "same": rebuilt.same})
    else:
        print_words(f"detector {version} of {name}: {_comparison(rebuilt)}")
    if not rebuilt.same:
        raise typer.Exit(ExitCode.FAILED)


def _comparison(rebuilt: "Rebuilt") -> str:
    """Return a text about the differences between a rebuilt and the stored detector."""
    if rebuilt.same:
        equal = "scores" if rebuilt.largest_gap is not None else "threshold"
        return f"rebuilt from the same {rebuilt.records} records, with the same {equal}"
    differences = []
    if not rebuilt.same_records:
        differences.append(
            f"the source's {rebuilt.records} records differ from the training records"
        )
    if not rebuilt.same_features:
        differences.append("the feature map differs")
    if not rebuilt.same_threshold:
        differences.append("the threshold differs")
    if rebuilt.largest_gap:
        differences.append(f"scores differ by up to {rebuilt.largest_gap:.2g} of their value")
    differences += [
        f"{name} was {then}, is {now}" for name, (then, now) in rebuilt.other_versions.items()
    ]
    return "; ".join(differences)


def _shown(detector: "DetectorDescription") -> dict[str, str]:
    """Return the properties of a detector as text: name -> value."""
    manifest = detector.manifest or {}
    left_out = manifest.get("left_out", {})
    thresholds = manifest.get("lines", {})
    shown = {
        "monitor": detector.monitor,
        "detector": f"{detector.version}, {detector.state}, trained at {show_time(detector.trained_at)}",
        "requested by": detector.asked_by or "not recorded",
        "state": detector.state_reason or "not recorded",
        "records": f"{detector.training_records} for the weights, {detector.validation_records} for "
        f"validation, {detector.calibration_records} for the threshold",
        "event times": f"{show_time(detector.trained_from)} to {show_time(detector.trained_until)}",
        "source": manifest.get("source", "not recorded"),
        "left out": ", ".join(f"{len(pairs)} {why}" for why, pairs in left_out.items()) or "none",
        "brought back": f"{len(manifest.get('brought_back', []))} false alarms",
        "rejected": ", ".join(
            f"{count} {why}" for why, count in manifest.get("rejected", {}).items()
        )
        or "none",
        "feedback": f"{len(manifest.get('feedback', []))} entries used",
        "seed": str(detector.seed),
        "threshold": f"{detector.threshold:.6g} by {detector.method}, for a false-alarm rate of "
        f"{detector.false_alarm_rate:.3g}",
    }
    calibrated = thresholds.get("without_feedback", {}).get("pooled")
    if calibrated is not None and calibrated != detector.threshold:
        shown["threshold"] += f"; raised from {calibrated:.6g} because of false alarms"
    for name in ("settings_hash", "feature_map_hash", "data_hash", "artifact_sha256"):
        shown[name.replace("_", " ")] = getattr(detector, name) or "removed by retention"
    shown["versions"] = ", ".join(f"{name} {number}" for name, number in detector.versions.items())
    return shown
