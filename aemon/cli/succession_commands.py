"""`aemon detectors promote`, `rollback` and `compare`: who judges, by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words, show_time
from aemon.operations.opening import one_monitor, opened_results

if TYPE_CHECKING:
    from aemon.lifecycle.comparing import Compared

VersionArgument = Annotated[int, typer.Argument(help="The detector's version within its monitor.")]
MonitorOption = Annotated[
    str | None, typer.Option("--monitor", "-m", help="Whose; needed if there are several.")
]


def promote(
    version: VersionArgument, config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None
) -> None:
    """Make a detector the active one, whatever its trial says.

    The next scoring run judges with it. One that was retired or rejected can
    be taken, too, while its weights are kept.
    """
    from aemon.lifecycle.rebuilding import find_detector

    settings = read_config(config)
    name = one_monitor(settings, monitor)
    with opened_results(settings) as store:
        row = find_detector(store, name, version)
        _make_active(store, name, row["id"], version, "promoted by a person")


def rollback(config: ConfigOption = CONFIG_FILE, monitor: MonitorOption = None) -> None:
    """Go back to the detector that was active before this one.

    The next scoring run judges with it. A detector on trial stays on trial.
    """
    from aemon.store.succession import version_before

    settings = read_config(config)
    name = one_monitor(settings, monitor)
    with opened_results(settings) as store:
        detector_id, version = version_before(store, name)
        _make_active(store, name, detector_id, version, "rolled back to by a person")


def compare(
    version: VersionArgument,
    other: Annotated[
        int | None, typer.Argument(help="The one to hold it against; default the active one.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    monitor: MonitorOption = None,
    records: Annotated[int, typer.Option(min=1, help="How many of the newest judged.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Judge the newest records with two detectors, and say where they differ.

    Nothing is stored.
    """
    from dataclasses import asdict

    from aemon.clock import utc_now
    from aemon.lifecycle.comparing import compare_detectors

    settings = read_config(config)
    name = one_monitor(settings, monitor)
    with opened_results(settings) as store:
        found = compare_detectors(
            name, settings.monitors[name], store, utc_now, version, other, records
        )
    if as_json:
        print_json(asdict(found))
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
            ("promised rate", *(f"{side.false_alarm_rate:.3g}" for side in sides)),
            ("flagged", *(side.flagged for side in sides)),
        ],
    )
    print_words(
        f"{found.records} records: {found.flagged_by_both} flagged by both, scores ranked alike "
        f"to {found.rank_correlation:.2f}"
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
        print_words("score over threshold of the records that one of them flags: 1 is the line")


def _make_active(store: Any, name: str, detector_id: int, version: int, reason: str) -> None:
    from aemon.errors import DetectorError
    from aemon.store.detectors import active_detector
    from aemon.store.store import StaleWatermarkError
    from aemon.store.succession import promote as make_active

    active = active_detector(store, name)
    if active is not None and active.id == detector_id:
        raise DetectorError(
            f"{name}: detector {version} is the active one", todo="nothing is to be done"
        )
    try:
        make_active(store, name, detector_id, reason, instead_of=active.id if active else None)
    except StaleWatermarkError as error:
        raise DetectorError(
            f"{name}: detector {version} cannot be made active: its weights were removed, or "
            "another became active just now",
            todo="see `aemon detectors list`",
        ) from error
    before = f" instead of detector {active.version}" if active else ""
    print_words(f"{name}: detector {version} judges from the next run on{before}")
