"""`aemon tune`: a search for settings that best separate planted anomalies from real records."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words

if TYPE_CHECKING:
    from aemon.detection.search.tuning import Trial
    from aemon.operations.detector_tuning import TunedDetector


def tune(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    seconds: Annotated[
        float, typer.Option(min=0, help="Begin no new trial after this many seconds.")
    ] = 120,
    records: Annotated[int, typer.Option(min=100, help="Number of newest records to use.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same search.")] = 0,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Look for better detector settings, without labels; change nothing.

    Anomalies are planted in copies of the newest records: columns are shifted,
    or swapped between records, and whole records are moved outwards, mirrored
    or mixed in pairs. Settings are compared by how well they separate planted
    anomalies from real records: the mean AUROC over three periods that were
    not used in training. Prints what to change, unless the present settings
    are within a standard error of the best. Your anomalies may be of other
    kinds.
    """
    from rich.console import Console

    from aemon.operations.detector_tuning import tune_detector

    with (
        open_installation(config) as installation,
        Console(stderr=True).status("trying the present settings ...") as status,
    ):

        def show(trial: "Trial") -> None:
            result = f"{_settings(trial)}: {_number(trial.criterion)}"
            status.update(f"trying other settings; last {result} ...")

        tuned = tune_detector(
            installation, monitor, records=records, seed=seed, seconds=seconds, report=show
        )
    if as_json:
        shown = ("monitor", "records", "finished", "changes", "trials")
        print_json({name: getattr(tuned, name) for name in shown})
        return
    _print_trials(tuned)
    typer.echo()
    if not tuned.finished:
        print_words(
            f"the search ended after {seconds:g} seconds, before all settings were tried: "
            "raise --seconds"
        )
    if tuned.changes:
        print_words(
            f"AUROC {_number(tuned.advised.criterion)} instead of "
            f"{_number(tuned.trials[0].criterion)}; write into the configuration:"
        )
        typer.echo(f"\n{tuned.snippet}", nl=False)
    else:
        print_words(
            "change nothing: the present settings are within one standard error of the best"
        )


def _print_trials(found: "TunedDetector") -> None:
    best = found.best
    print_table(
        ("AUROC", "error", "flagged", "seconds", "settings"),
        [
            (
                _number(trial.criterion),
                _number(trial.error),
                "" if trial.refusal else f"{100 * trial.false_alarm_rate:.2g}%",
                f"{trial.seconds:.1f}",
                f"{_settings(trial)}{' (best)' if trial is best else ''}",
            )
            for trial in found.trials
        ],
        notes=[trial.refusal for trial in found.trials],
    )


def _settings(trial: "Trial") -> str:
    """Return the settings that a trial changes, as text."""
    changes = ", ".join(
        f"{key}: {list(value) if isinstance(value, tuple) else value}"
        for key, value in trial.changes.items()
    )
    return changes or "present settings"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
