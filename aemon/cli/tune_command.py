"""`aemon tune`: which settings tell planted anomalies from a monitor's own records best."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words
from aemon.operations.newest_records import newest_records
from aemon.operations.opening import choose_monitors

if TYPE_CHECKING:
    from aemon.config.detector_settings import DetectorSettings
    from aemon.detection.search.tuning import Trial, Tuning


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

    from aemon.detection.search.tuning import tune as search

    settings = read_config(config)
    choose_monitors(settings, [monitor])
    present = settings.monitors[monitor]
    frame = newest_records(settings, monitor, records)
    with Console(stderr=True).status("trying the present settings ...") as status:

        def tell(trial: "Trial") -> None:
            status.update(f"trying others; {_words(trial)}: {_number(trial.criterion)} ...")

        found = search(frame, present.learning, seed=seed, seconds=seconds, tell=tell)
    changes = found.advice.changes
    if as_json:
        trials = [_plain(trial) for trial in found.trials]
        told = {"records": len(frame), "finished": found.finished, "changes": changes}
        print_json({"monitor": monitor, **told, "trials": trials})
        return
    _print_trials(found)
    typer.echo()
    if not found.finished:
        print_words(f"{seconds:g} seconds were up before all was tried: --seconds gives it more")
    if changes:
        print_words(
            f"{_number(found.advice.criterion)} instead of {_number(found.trials[0].criterion)}; "
            "what to write into the configuration:"
        )
        typer.echo(f"\n{_snippet(monitor, present.detector, changes)}", nl=False)
    else:
        print_words(
            "change nothing: the present settings are within one standard error of the best"
        )


def _print_trials(found: "Tuning") -> None:
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


def _plain(trial: "Trial") -> dict[str, Any]:
    """A trial as JSON has it, which knows no NaN."""
    fields = {key: getattr(trial, key) for key in trial.__dataclass_fields__}
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in fields.items()
    }


def _snippet(monitor: str, present: "DetectorSettings", changes: dict[str, Any]) -> str:
    """The monitor's whole `detector` part as it should be."""
    import yaml

    detector = present.model_copy(update=changes).model_dump(mode="json", exclude_defaults=True)
    part = {"monitors": {monitor: {"detector": detector}}}
    return yaml.safe_dump(part, sort_keys=False, default_flow_style=None)
