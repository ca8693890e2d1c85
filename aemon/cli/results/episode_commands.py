"""`aemon episodes`: list, show, acknowledge, close and name episodes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import print_table, print_words, show_time

if TYPE_CHECKING:
    from aemon.operations.episode_handling import EpisodeDetails
    from aemon.store.episode_queries import EpisodeSummary

app = typer.Typer(help="About episodes: adjacent anomalies of one entity.", no_args_is_help=True)

MOST_RECORDS = 20  # records that are shown of an episode

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The episode, as `list` shows it.")]
NoteOption = Annotated[str, typer.Option(help="A note on the episode.")]


@app.command("list")
def list_(
    monitor: Annotated[
        str | None, typer.Option("--monitor", "-m", help="Only this monitor.")
    ] = None,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only episodes that are not closed.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="At most this number of episodes, newest first.")
    ] = 20,
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
        typer.echo("no episode is open" if only_open else "there are no episodes")


@app.command()
def show(
    number: IdArgument, config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False
) -> None:
    """Show an episode: its records, the columns to blame, and a similar earlier episode."""
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
    """Acknowledge an episode; the episode continues until its records are calm."""
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
    """Close an episode by hand; the next anomaly begins a new episode."""
    from aemon.operations.episode_handling import close_episode

    with open_installation(config) as installation:
        _print_changed(close_episode(installation, number, note), as_json=as_json)


@app.command()
def label(
    number: IdArgument,
    text: Annotated[
        str, typer.Argument(help="The name, such as 'stuck sensor'; '' removes the name.")
    ],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Name an episode; similar later episodes are reported with this name."""
    from aemon.operations.episode_handling import label_episode

    with open_installation(config) as installation:
        _print_changed(label_episode(installation, number, text), as_json=as_json)


def _print_changed(episode: "EpisodeSummary", *, as_json: bool) -> None:
    if as_json:
        print_json(episode)
    else:
        _print_list([episode])


def _print_list(episodes: "Sequence[EpisodeSummary]") -> None:
    columns = {
        "id": [str(episode.id) for episode in episodes],
        "started (UTC)": [show_time(episode.started_at) for episode in episodes],
        "monitor": [episode.monitor for episode in episodes],
        "entity": [episode.entity for episode in episodes],
        "state": [episode.state for episode in episodes],
        "severity": [episode.severity for episode in episodes],
        "records": [str(episode.records) for episode in episodes],
        "over": [f"{episode.peak_exceedance:.1f}x" for episode in episodes],
        "column": [episode.feature for episode in episodes],
    }
    if len({episode.monitor for episode in episodes}) == 1:
        del columns["monitor"]
    if not any(episode.entity for episode in episodes):
        del columns["entity"]
    notes = [
        "; ".join(filter(None, (episode.label, episode.like, episode.note))) for episode in episodes
    ]
    print_table(list(columns), list(zip(*columns.values(), strict=True)), notes=notes)


def _print_episode(episode: "EpisodeDetails") -> None:
    records = episode.flagged_records
    entity = f", {episode.entity}" if episode.entity else ""
    print_words(
        f"episode {episode.id} of {episode.monitor}{entity}: {episode.severity}, {episode.state}"
    )
    until = show_time(episode.ended_at)
    print_words(
        f"{show_time(episode.started_at)} to {until} UTC, {episode.records} records, "
        f"at most {episode.peak_exceedance:.1f} x the threshold"
    )
    for name, text in (("label", episode.label), ("note", episode.note)):
        if text:
            print_words(f"{name}: {text}")
    if episode.like:
        print_words(f"{episode.like} (likeness {episode.likeness:.2f})")
    if episode.acknowledged_at is not None:
        print_words(f"acknowledged {show_time(episode.acknowledged_at)} UTC")
    peak = next((one for one in records if one.record_key == episode.peak_record_key), None)
    if peak is not None:
        print_words(f"at its peak, record {peak.record_key}: {peak.reason}")
    typer.echo()
    total = sum(episode.blame.values()) or 1.0
    blamed = sorted(episode.blame.items(), key=lambda pair: -pair[1])
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
        typer.echo(f"and {len(records) - MOST_RECORDS} earlier records")
