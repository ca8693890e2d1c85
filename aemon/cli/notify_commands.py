"""`aemon notify`: what receivers were told of episodes; trying again; trying a receiver."""

from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words, show_time
from aemon.errors import AemonError, ConfigError, ExitCode
from aemon.operations.opening import opened_results

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.notify.sending import Answer
    from aemon.store.outbox import Notification

app = typer.Typer(help="About telling people: receivers and messages.", no_args_is_help=True)

LimitOption = Annotated[int, typer.Option(min=1, help="At most this many, newest first.")]


@app.command("list")
def list_(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    receiver: Annotated[
        str | None, typer.Option("--receiver", "-r", help="Only this receiver's.")
    ] = None,
    limit: LimitOption = 20,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List what receivers were told, newest first, and what waits to be sent."""
    from aemon.store.delivery import listed
    from aemon.store.outbox import NotificationState

    settings = read_config(config)
    states = [NotificationState.DEAD] if dead else None
    with opened_results(settings) as store:
        found = listed(store, states=states, receiver=receiver, limit=limit)
    if as_json:
        print_json(found)
    elif found:
        _print_list(found)
    else:
        typer.echo("there are no dead letters" if dead else "nobody was told of anything")


@app.command()
def retry(
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="The notification, as `list` shows it.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Let a notification that was given up be sent again, by the daemon, within seconds.

    One that waits for its next try is tried at once.
    """
    from aemon.store.delivery import try_again

    if (number is None) == (not every):
        raise typer.BadParameter("name one notification, or --all")
    with opened_results(read_config(config)) as store:
        count = try_again(store, number)
    if number is not None and not count:
        raise _UnknownNotificationError(
            f"there is no notification {number} that is dead or waits",
            todo="`aemon notify list` lists them",
        )
    if as_json:
        print_json({"tried_again": count})
    else:
        typer.echo(f"{count} to be tried again")


@app.command("test")
def try_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RECEIVER]...", help="Only these.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to receivers, and say what they answered.

    It tells of a made-up episode, and says so. Nothing is stored.
    """
    settings = read_config(config)
    answers = {name: _try(settings, name) for name in _chosen(settings, names)}
    if as_json:
        print_json(
            [
                {"receiver": name, "status": answer.status, "error": answer.error}
                for name, answer in answers.items()
            ]
        )
    for name, answer in answers.items() if not as_json else ():
        if answer.taken:
            print_words(f"{name}: taken (HTTP {answer.status})")
        else:
            print_words(f"{name}: {answer.error}", colour="red")
    if not all(answer.taken for answer in answers.values()):
        raise typer.Exit(ExitCode.FAILED)


def _chosen(settings: "Config", names: list[str] | None) -> list[str]:
    if not settings.notify:
        raise ConfigError(
            "there are no receivers", todo="name some under `notify` in the configuration"
        )
    for name in names or ():
        if name not in settings.notify:
            there = ", ".join(settings.notify)
            raise ConfigError(f"there is no receiver {name!r}", todo=f"there are: {there}")
    return list(names or settings.notify)


def _try(settings: "Config", name: str) -> "Answer":
    from dataclasses import replace

    from aemon.clock import utc_now
    from aemon.config.values.addresses import page_url
    from aemon.config.web_settings import serves_tls
    from aemon.message import EXAMPLE
    from aemon.notify.receivers.receiver_kinds import receiver_of
    from aemon.notify.sending import send

    receiver = receiver_of(settings.notify[name])
    now = utc_now()
    page = page_url(
        settings.http.url, settings.http.listen, tls=serves_tls(settings.http.web_config)
    )
    example = replace(EXAMPLE, page=page, started_at=now, ended_at=now, opened_at=now)
    return send(receiver, receiver.payload(example, now), example.id)


def _print_list(found: "list[Notification]") -> None:
    print_table(
        ("id", "due (UTC)", "receiver", "event", "monitor", "episode", "state", "tries"),
        [
            (
                str(one.id),
                show_time((one.due_at or one.created_at).astimezone(UTC)),
                one.receiver,
                one.event,
                one.monitor,
                str(one.episode_id),
                one.state,
                str(one.attempts),
            )
            for one in found
        ],
        notes=[one.last_error for one in found],
    )


class _UnknownNotificationError(AemonError):
    """There is no such notification."""

    exit_code = ExitCode.DATA
