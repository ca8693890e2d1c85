"""`aemon notify`: list notifications, send them again, and test receivers."""

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, show_time
from aemon.errors import ExitCode

if TYPE_CHECKING:
    from aemon.store.outbox import Notification

app = typer.Typer(help="About notifications and their receivers.", no_args_is_help=True)

LimitOption = Annotated[
    int, typer.Option(min=1, help="At most this number of notifications, newest first.")
]


@app.command("list")
def list_(
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters.")] = False,
    receiver: Annotated[
        str | None, typer.Option("--receiver", "-r", help="Only this receiver.")
    ] = None,
    limit: LimitOption = 20,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List notifications that were sent or wait to be sent, newest first."""
    from aemon.operations.notification_handling import list_notifications

    with open_installation(config) as installation:
        found = list_notifications(installation, dead=dead, receiver=receiver, limit=limit)
    if as_json:
        print_json(found)
    elif found:
        _print_list(found)
    else:
        typer.echo("there are no dead letters" if dead else "there are no notifications")


@app.command()
def retry(
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="The notification, as `list` shows it.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Send all dead letters again.")] = False,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Let the daemon send a dead letter again, within seconds.

    A notification that waits for its next attempt is sent at once.
    """
    from aemon.operations.notification_handling import retry_notifications

    if (number is None) == (not every):
        raise typer.BadParameter("give the number of one notification, or --all")
    with open_installation(config) as installation:
        retried = retry_notifications(installation, number)
    if as_json:
        print_json(retried)
    else:
        typer.echo(f"notifications to be sent again: {retried.tried_again}")


@app.command("test")
def try_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RECEIVER]...", help="Only these receivers.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to receivers, and print their answers.

    The message says that its episode is invented. Nothing is stored.
    """
    from aemon.operations.notification_handling import try_receivers

    with open_installation(config) as installation:
        tried = try_receivers(installation, names)
    if as_json:
        print_json(tried)
    for one in tried if not as_json else ():
        if one.error:
            print_words(f"{one.receiver}: {one.error}", colour="red")
        else:
            print_words(f"{one.receiver}: accepted (HTTP {one.status})")
    if any(one.error for one in tried):
        raise typer.Exit(ExitCode.FAILED)


def _print_list(found: "Sequence[Notification]") -> None:
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
