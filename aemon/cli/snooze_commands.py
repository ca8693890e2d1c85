"""`aemon snooze`: anomalies that nobody wants to hear of for a while; they are stored as suppressed."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, show_time
from aemon.errors import AemonError, ConfigError, ExitCode
from aemon.operations.opening import choose_monitors, opened_results

if TYPE_CHECKING:
    from aemon.store.snoozes import StoredSnooze


class _MonitorFirst(TyperGroup):
    """`aemon snooze pumps` is `aemon snooze add pumps`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["add", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MonitorFirst,
    help="Keep anomalies quiet for a while: aemon snooze MONITOR --for 2h.",
    no_args_is_help=True,
)


@app.command()
def add(
    monitor: Annotated[str, typer.Argument(help="Whose anomalies.")],
    entity: Annotated[str | None, typer.Option(help="Only of this entity.")] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="From now on, for 2h or so.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Or from now on until this time, in UTC.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Suppress a monitor's anomalies for a while; `aemon snooze MONITOR` does the same.

    They are judged and stored with their reasons, and teach nothing. Event times count.
    """
    from aemon.clock import utc_now
    from aemon.records import Snooze
    from aemon.store.snoozes import add_snooze, all_snoozes

    settings = read_config(config)
    (name,) = choose_monitors(settings, [monitor])
    now = utc_now()
    snooze = Snooze(since=now, until=_end(now, lasts, until), entity=entity)
    with opened_results(settings) as store:
        number = add_snooze(store, name, snooze, note)
        said = [one for one in all_snoozes(store, [name]) if one.id == number]
    _print(said, as_json=as_json)


@app.command("list")
def list_(
    monitor: Annotated[
        str | None, typer.Option("--monitor", "-m", help="Only this monitor's.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List the snoozes that are not over, newest first."""
    from aemon.store.snoozes import all_snoozes

    settings = read_config(config)
    names = choose_monitors(settings, [monitor] if monitor else None)
    with opened_results(settings) as store:
        said = all_snoozes(store, names, until=None if every else store.now())
    _print(said, as_json=as_json)


@app.command()
def end(
    number: Annotated[int, typer.Argument(metavar="ID", help="The snooze, as `list` shows it.")],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """End a snooze now."""
    from aemon.store.snoozes import all_snoozes, end_snooze

    settings = read_config(config)
    with opened_results(settings) as store:
        if not end_snooze(store, number):
            raise _NotGoingOnError(
                f"there is no snooze {number} to end", todo="`aemon snooze list` lists them"
            )
        said = [one for one in all_snoozes(store, list(settings.monitors)) if one.id == number]
    _print(said, as_json=as_json)


def _end(now: datetime, lasts: str | None, until: datetime | None) -> datetime:
    """When a snooze that begins now ends.

    Raises:
        ConfigError: it is not said when, or twice, or before now.
    """
    from aemon.clock import parse_duration

    if (lasts is None) == (until is None):
        raise ConfigError(
            "a snooze needs either --for or --until",
            todo="aemon snooze MONITOR --for 2h, or --until 2026-11-30T12:00:00",
        )
    if lasts is not None:
        try:
            return now + parse_duration(lasts)
        except (ValueError, OverflowError) as error:
            raise typer.BadParameter(str(error), param_hint="--for") from error
    ends = until or now
    ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
    if ends <= now:
        raise ConfigError(
            f"--until {ends:%Y-%m-%dT%H:%M:%S} is over", todo="give a time to come, in UTC"
        )
    return ends


def _print(said: "list[StoredSnooze]", *, as_json: bool) -> None:
    if as_json:
        print_json(said)
    elif said:
        print_table(
            ("id", "monitor", "entity", "since (UTC)", "until (UTC)", "note"),
            [
                (
                    one.id, one.monitor, one.entity or "all", show_time(one.since),
                    show_time(one.until), one.note,
                )
                for one in said
            ],
        )  # fmt: skip
    else:
        typer.echo("nothing is snoozed")


class _NotGoingOnError(AemonError):
    exit_code = ExitCode.DATA
