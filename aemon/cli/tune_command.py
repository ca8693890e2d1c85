"""`aemon tune`: which settings tell planted anomalies from a monitor's own records best."""

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
    seconds: Annotated[float, typer.Option(min=0, help="Begin nothing new after these.")] = 120,
    records: Annotated[int, typer.Option(min=100, help="How many of the newest to use.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same search.")] = 0,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Look for better detector settings, without labels; change nothing.

    Anomalies are planted in copies of the newest records: columns shifted, or
    swapped between records, and whole records moved outwards, mirrored or
    mixed two by two. The better settings tell these from the records
    themselves: mean AUROC of three stretches of time that were not learned
    from. Says what to change, unless the present settings are within a
    standard error of the best. Your anomalies may be of other kinds.
    """
    from rich.console import Console

    from aemon.operations.detector_tuning import tune_detector

    with (
        open_installation(config) as installation,
        Console(stderr=True).status("trying the present settings ...") as status,
    ):

        def tell(trial: "Trial") -> None:
            status.update(f"trying others; {_words(trial)}: {_number(trial.criterion)} ...")

        tuned = tune_detector(
            installation, monitor, records=records, seed=seed, seconds=seconds, report=tell
        )
    if as_json:
        shown = ("monitor", "records", "finished", "changes", "trials")
        print_json({name: getattr(tuned, name) for name in shown})
        return
    _print_trials(tuned)
    typer.echo()
    if not tuned.finished:
        print_words(f"{seconds:g} seconds were up before all was tried: --seconds gives it more")
    if tuned.changes:
        print_words(
            f"{_number(tuned.advised.criterion)} instead of "
            f"{_number(tuned.trials[0].criterion)}; what to write into the configuration:"
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
                f"{_words(trial)}{' (best)' if trial is best else ''}",
            )
            for trial in found.trials
        ],
        notes=[trial.refusal for trial in found.trials],
    )


def _words(trial: "Trial") -> str:
    told = ", ".join(
        f"{key}: {list(value) if isinstance(value, tuple) else value}"
        for key, value in trial.changes.items()
    )
    return told or "as they are"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
