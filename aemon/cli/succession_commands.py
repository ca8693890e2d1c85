"""`aemon detectors promote`, `rollback` and `compare`: choosing the active detector by hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, show_time

if TYPE_CHECKING:
    from aemon.lifecycle.comparing import Compared
    from aemon.operations.succession_by_hand import Promotion

VersionArgument = Annotated[int, typer.Argument(help="The detector's version within its monitor.")]
MonitorOption = Annotated[
    str | None, typer.Option("--monitor", "-m", help="The monitor, if there are several.")
]


def promote(
    version: VersionArgument, config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None
) -> None:
    """Make a detector the active detector, regardless of its trial.

    The next scoring run judges with this detector. A retired or rejected
    detector can be promoted, too, as long as its weights are kept.
    """
    from aemon.operations.succession_by_hand import promote_detector

    with open_installation(config) as installation:
        _print_promotion(promote_detector(installation, version, monitor))


def rollback(config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None) -> None:
    """Go back to the detector that was active before the present active detector.

    The next scoring run judges with the earlier detector. A detector on trial
    stays on trial.
    """
    from aemon.operations.succession_by_hand import roll_back_detector

    with open_installation(config) as installation:
        _print_promotion(roll_back_detector(installation, monitor))


def _print_promotion(done: "Promotion") -> None:
    before = f" instead of detector {done.instead_of}" if done.instead_of is not None else ""
    print_words(f"{done.monitor}: detector {done.version} judges from the next run on{before}")


def compare(
    version: VersionArgument,
    other: Annotated[
        int | None,
        typer.Argument(help="The second detector; by default the active detector."),
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    monitor: MonitorOption = None,
    records: Annotated[
        int, typer.Option(min=1, help="How many of the newest judged records are used.")
    ] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Judge the newest records with two detectors, and show where they differ.

    Nothing is stored.
    """
    from aemon.operations.succession_by_hand import compare_detectors

    with open_installation(config) as installation:
        found = compare_detectors(installation, version, other, monitor=monitor, records=records)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: "Compared") -> None:
    sides = (found.first, found.second)
    print_table(
        ("", *(f"detector {side.version}" for side in sides)),
        [
            ("state", *(side.state for side in sides)),
            ("trained at", *(show_time(side.trained_at) for side in sides)),
            ("validation error", *(f"{side.validation_error:.3g}" for side in sides)),
            ("threshold", *(f"{side.threshold:.4g}" for side in sides)),
            ("target rate", *(f"{side.false_alarm_rate:.3g}" for side in sides)),
            ("flagged", *(side.flagged for side in sides)),
        ],
    )
    print_words(
        f"{found.records} records: {found.flagged_by_both} flagged by both, rank correlation of "
        f"scores {found.rank_correlation:.2f}"
    )
    if found.trial:
        print_words(f"trial: {found.trial}")
    if found.differing:
        print_table(
            ("record", "entity", "time", *(f"detector {side.version}" for side in sides)),
            [
                (
                    one.record_key, one.entity, show_time(one.event_time),
                    f"{one.first:.2f}", f"{one.second:.2f}",
                )
                for one in found.differing
            ],
        )  # fmt: skip
        print_words("score divided by threshold, for records that only one detector flags")
