"""`aemon episodes`: what happened, told once; taking it up, closing it, calling it by a name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, show_time

if TYPE_CHECKING:
    from aemon.operations.episode_handling import EpisodeDetails
    from aemon.store.episode_queries import EpisodeSummary

app = typer.Typer(help="About episodes: anomalies that hang together.", no_args_is_help=True)

MOST_RECORDS = 20  # of an episode that are shown to a person

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The episode, as `list` shows it.")]
NoteOption = Annotated[str, typer.Option(help="What there is to say of it.")]


@app.command("list")
def list_(
    monitor: Annotated[
        str | None, typer.Option("--monitor", "-m", help="Only this monitor's.")
    ] = None,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that are not closed.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """List episodes, newest first."""
    from aemon.operations.episode_handling import list_episodes

    with open_installation(config) as installation:
        episodes = list_episodes(installation, monitor, open_only=only_open, limit=limit)
    if as_json:
        print_json(episodes)
    elif episodes:
        _print_list(episodes)
    else:
        typer.echo("no episode is open" if only_open else "there was no episode")


@app.command()
def show(
    number: IdArgument, config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False
) -> None:
    """Show an episode: its records, the columns to blame, and an earlier one it looks like."""
    from aemon.operations.episode_handling import show_episode

    with open_installation(config) as installation:
        episode = show_episode(installation, number)
    if as_json:
        print_json(episode)
    else:
        _print_episode(episode)


@app.command()
def ack(
    number: IdArgument,
    note: NoteOption = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Take an episode up: it is acknowledged, and goes on until it is calm."""
    from aemon.operations.episode_handling import acknowledge_episode

    with open_installation(config) as installation:
        _print_changed(acknowledge_episode(installation, number, note), as_json=as_json)


@app.command()
def close(
    number: IdArgument,
    note: NoteOption = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Close an episode by hand; the next anomaly begins another."""
    from aemon.operations.episode_handling import close_episode

    with open_installation(config) as installation:
        _print_changed(close_episode(installation, number, note), as_json=as_json)


@app.command()
def label(
    number: IdArgument,
    text: Annotated[str, typer.Argument(help="What it was: 'stuck sensor'; '' for nothing.")],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Call an episode by a name, which later ones that look like it are told with."""
    from aemon.operations.episode_handling import label_episode

    with open_installation(config) as installation:
        _print_changed(label_episode(installation, number, text), as_json=as_json)


def _print_changed(episode: "EpisodeSummary", *, as_json: bool) -> None:
    if as_json:
        print_json(episode)
    else:
        _print_list([episode])


def _print_list(told: "Sequence[EpisodeSummary]") -> None:
    columns = {
        "id": [str(one.id) for one in told],
        "started (UTC)": [show_time(one.started_at) for one in told],
        "monitor": [one.monitor for one in told],
        "entity": [one.entity for one in told],
        "state": [one.state for one in told],
        "severity": [one.severity for one in told],
        "records": [str(one.records) for one in told],
        "over": [f"{one.peak_exceedance:.1f}x" for one in told],
        "column": [one.feature for one in told],
    }
    if len({one.monitor for one in told}) == 1:
        del columns["monitor"]
    if not any(one.entity for one in told):
        del columns["entity"]
    notes = ["; ".join(filter(None, (one.label, one.like, one.note))) for one in told]
    print_table(list(columns), list(zip(*columns.values(), strict=True)), notes=notes)


def _print_episode(told: "EpisodeDetails") -> None:
    records = told.flagged_records
    whose = f"{told.monitor}, {told.entity}" if told.entity else told.monitor
    print_words(f"episode {told.id} of {whose}: {told.severity}, {told.state}")
    until = show_time(told.ended_at)
    print_words(
        f"{show_time(told.started_at)} to {until} UTC, {told.records} records, "
        f"at most {told.peak_exceedance:.1f} x the threshold"
    )
    for what, text in (("label", told.label), ("note", told.note)):
        if text:
            print_words(f"{what}: {text}")
    if told.like:
        print_words(f"{told.like} (likeness {told.likeness:.2f})")
    if told.acknowledged_at is not None:
        print_words(f"acknowledged {show_time(told.acknowledged_at)} UTC")
    peak = next((one for one in records if one.record_key == told.peak_record_key), None)
    if peak is not None:
        print_words(f"at its peak, record {peak.record_key}: {peak.reason}")
    typer.echo()
    total = sum(told.blame.values()) or 1.0
    blamed = sorted(told.blame.items(), key=lambda pair: -pair[1])
    print_table(
        ("column", "share of the blame"), [(name, f"{share / total:.1%}") for name, share in blamed]
    )
    typer.echo()
    print_table(
        ("time (UTC)", "record", "severity", "over"),
        [
            (show_time(one.event_time), one.record_key, one.severity, f"{one.exceedance:.1f}x")
            for one in records[:MOST_RECORDS]
        ],
    )
    if len(records) > MOST_RECORDS:
        typer.echo(f"and {len(records) - MOST_RECORDS} earlier ones")
