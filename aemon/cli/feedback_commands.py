"""`aemon feedback`: say of a record, or an episode, what it was; the next training takes it up."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.episode_commands import find_episode
from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, short_key, show_time
from aemon.errors import ConfigError
from aemon.operations.opening import choose_monitors, opened_results
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

    A false alarm is learned from and calibrates, a confirmed anomaly and
    what is to be ignored teach nothing. Taken up at the next training.
    """
    from aemon.store.episode_queries import say_of_episode
    from aemon.store.feedback import add_feedback, read_feedback

    settings = read_config(config)
    (name,) = choose_monitors(settings, [monitor])
    new = 1
    if verdict is not None:
        _check(verdict, record, until, episode)
    with opened_results(settings) as store:
        if verdict is not None and episode is not None:
            new = say_of_episode(store, find_episode(store, [name], episode), verdict, note)
        elif verdict is not None:
            zoned = until and (until if until.tzinfo else until.replace(tzinfo=UTC))
            add_feedback(
                store, name, verdict, record_key=record, entity=entity, until=zoned, note=note
            )
        said = read_feedback(store, name)
    if verdict is not None:
        said = said[-new:] if new else []
        if not said:
            typer.echo(f"note: no record of episode {episode} is flagged any more", err=True)
        elif record is not None and said[0].event_time is None:
            typer.echo(f"note: {name} has judged no record {record!r} yet", err=True)
    if as_json:
        print_json(said)
        return
    print_table(
        ("said at", "record", "entity", "verdict", "until", "taken up", "note"),
        [_row(one) for one in said],
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


def _check(
    verdict: FeedbackVerdict, record: str | None, until: datetime | None, episode: int | None
) -> None:
    """Say in the command's words what the database would refuse."""
    ignores = verdict is FeedbackVerdict.IGNORE_UNTIL
    if episode is not None and (ignores or record is not None):
        raise ConfigError(
            f"--episode does not go with {verdict if ignores else '--record'}",
            todo="say false_alarm or confirmed of an episode, or leave it out",
        )
    if ignores != (until is not None):
        raise ConfigError(
            "ignore_until needs --until" if ignores else f"--until does not go with {verdict}",
            todo="aemon feedback MONITOR ignore_until --until 2026-11-30T12:00:00"
            if ignores
            else "leave it out",
        )
    if not ignores and record is None and episode is None:
        raise ConfigError(
            f"{verdict} is said of a record",
            todo="add --record KEY; `aemon anomalies` lists keys; or --episode ID",
        )
