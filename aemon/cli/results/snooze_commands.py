"""`aemon snooze`: suppress a monitor's anomalies for a while, and store them with the reason."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, show_time

if TYPE_CHECKING:
    from aemon.store.snoozes import StoredSnooze


class _MonitorFirst(TyperGroup):
    """A group in which `aemon snooze pumps` means `aemon snooze add pumps`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["add", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MonitorFirst,
    help="Suppress anomalies for a while: aemon snooze MONITOR --for 2h.",
    no_args_is_help=True,
)


@app.command()
def add(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    entity: Annotated[str | None, typer.Option(help="Only this entity.")] = None,
    lasts: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="How long the snooze lasts, such as 2h."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(help="When the snooze ends, in UTC; give this or --for."),
    ] = None,
    note: Annotated[str, typer.Option(help="The reason for the snooze.")] = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Suppress a monitor's anomalies for a while; `aemon snooze MONITOR` does the same.

    The anomalies are judged, stored with their reasons, and left out of
    training. A snooze covers records by event time, from now to its end.
    """
    from aemon.operations.snoozing import snooze_anomalies

    with open_installation(config) as installation:
        snooze = snooze_anomalies(
            installation, monitor, lasts=_duration(lasts), until=until, entity=entity, note=note
        )
    _print([snooze], as_json=as_json)


@app.command("list")
def list_(
    monitor: Annotated[
        str | None, typer.Option("--monitor", "-m", help="Only this monitor.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="List also snoozes that have ended.")
    ] = False,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List the snoozes that have not ended, newest first."""
    from aemon.operations.snoozing import list_snoozes

    with open_installation(config) as installation:
        _print(list_snoozes(installation, monitor, ended=every), as_json=as_json)


@app.command()
def end(
    number: Annotated[int, typer.Argument(metavar="ID", help="The snooze, as `list` shows it.")],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """End a snooze now."""
    from aemon.operations.snoozing import end_snooze

    with open_installation(config) as installation:
        _print([end_snooze(installation, number)], as_json=as_json)


def _duration(lasts: str | None) -> timedelta | None:
    """Return the duration of a snooze.

    Raises:
        BadParameter: the text is not a duration, or the snooze would end after the year 9999.
    """
    from aemon.clock import parse_duration, utc_now

    if lasts is None:
        return None
    try:
        duration = parse_duration(lasts)
        utc_now() + duration  # raises OverflowError after the year 9999
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    return duration


def _print(snoozes: "Sequence[StoredSnooze]", *, as_json: bool) -> None:
    if as_json:
        print_json(snoozes)
    elif snoozes:
        print_table(
            ("id", "monitor", "entity", "since (UTC)", "until (UTC)", "note"),
            [
                (
                    one.id, one.monitor, one.entity or "all", show_time(one.since),
                    show_time(one.until), one.note,
                )
                for one in snoozes
            ],
        )  # fmt: skip
    else:
        typer.echo("nothing is snoozed")
