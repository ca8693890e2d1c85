"""`aemon feedback`: a person's verdict on a record or an episode, for the next training."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, short_key, show_time
from aemon.logs import escaped
from aemon.records import FeedbackVerdict

if TYPE_CHECKING:
    from aemon.store.feedback import Feedback


def feedback(
    monitor: Annotated[str, typer.Argument(help="The monitor of the record.")],
    verdict: Annotated[
        FeedbackVerdict | None,
        typer.Argument(help="Your verdict; without it, all feedback is listed."),
    ] = None,
    record: Annotated[str | None, typer.Option("--record", "-r", help="The record's key.")] = None,
    entity: Annotated[
        str | None, typer.Option(help="The record's entity, if several entities have this key.")
    ] = None,
    episode: Annotated[
        int | None,
        typer.Option("--episode", "-e", help="Give feedback on all records of this episode."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            help="With ignore_until: event time, in UTC, up to which records are ignored."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="The reason for the feedback.")] = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Give feedback on a record or an episode, or list the feedback.

    A false alarm suppresses similar records at once, and is used in training.
    Confirmed anomalies and ignored periods are left out of training.
    """
    from aemon.operations.giving_feedback import Statement, give_feedback, list_feedback

    with open_installation(config) as installation:
        if verdict is None:
            entries = list_feedback(installation, monitor)
        else:
            statement = Statement(
                verdict=verdict, record=record, entity=entity, episode=episode, until=until,
                note=note,
            )  # fmt: skip
            given = give_feedback(installation, monitor, statement)
            entries = given.entries
            for sentence in filter(None, (given.warning, given.effect)):
                typer.echo(escaped(f"note: {sentence}"), err=True)
    if as_json:
        print_json(entries)
        return
    print_table(
        ("given at", "record", "entity", "verdict", "until", "used", "note"),
        [_row(one) for one in entries],
    )


def _row(one: "Feedback") -> tuple[str, ...]:
    return (
        show_time(one.created_at),
        short_key(one.record_key or "all"),
        one.entity or "",
        one.verdict,
        show_time(one.until) if one.until else "",
        "yes" if one.detector_id else "at the next training",
        one.note,
    )
