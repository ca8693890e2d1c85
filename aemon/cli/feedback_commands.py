"""`aemon feedback`: say of a record, or an episode, what it was; the next training takes it up."""

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
    monitor: Annotated[str, typer.Argument(help="Whose record.")],
    verdict: Annotated[
        FeedbackVerdict | None, typer.Argument(help="What it was; without it, what was said.")
    ] = None,
    record: Annotated[str | None, typer.Option("--record", "-r", help="The record's key.")] = None,
    entity: Annotated[
        str | None, typer.Option(help="Whose record, if entities share keys.")
    ] = None,
    episode: Annotated[
        int | None, typer.Option("--episode", "-e", help="Or every record of this episode.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(help="With ignore_until: learn nothing up to this event time, in UTC."),
    ] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Say of a record what it was, or list what was said.

    A false alarm excuses records like it at once, and is learned from; a
    confirmed anomaly and what is to be ignored teach nothing.
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
            for told in filter(None, (given.warning, given.effect)):
                typer.echo(escaped(f"note: {told}"), err=True)
    if as_json:
        print_json(entries)
        return
    print_table(
        ("said at", "record", "entity", "verdict", "until", "taken up", "note"),
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
