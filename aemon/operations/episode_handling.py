"""Lists, shows, acknowledges, closes and labels episodes."""

from dataclasses import dataclass, fields

from aemon.errors import NotFoundError
from aemon.operations.installation import Installation
from aemon.store import episode_queries
from aemon.store.episode_queries import EpisodeSummary, episode_summaries
from aemon.store.queries import FlaggedRecord, flagged_records


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeDetails(EpisodeSummary):
    """An episode with its flagged records, newest first."""

    flagged_records: tuple[FlaggedRecord, ...]


def list_episodes(
    installation: Installation,
    monitor: str | None = None,
    *,
    open_only: bool = False,
    limit: int = 20,
) -> tuple[EpisodeSummary, ...]:
    """Return episodes, newest first.

    Args:
        installation: the installation.
        monitor: only episodes of this monitor; None for all monitors.
        open_only: whether to return only episodes that are not closed.
        limit: largest number of episodes.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    names = installation.monitors(monitor)
    return tuple(episode_summaries(installation.store, names, open_only=open_only, limit=limit))


def find_episode(
    installation: Installation, number: int, monitor: str | None = None
) -> EpisodeSummary:
    """Return the reported episode with this number.

    With `monitor`, the episode must belong to this monitor.

    Raises:
        ConfigError: there is no such monitor.
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    names = installation.monitors(monitor)
    found = episode_summaries(installation.store, names, number=number)
    if not found:
        raise NotFoundError(
            f"there is no episode {number} of {' or '.join(names)}",
            todo="`aemon episodes list` lists the episodes",
        )
    return found[0]


def show_episode(
    installation: Installation, number: int, most_records: int | None = None
) -> EpisodeDetails:
    """Return an episode with its newest flagged records, at most `most_records` (None: all).

    Raises:
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    episode = find_episode(installation, number)
    limit = max(episode.records, 1)
    if most_records is not None:
        limit = min(limit, most_records)
    records = flagged_records(installation.store, episode=number, limit=limit)
    known = {field.name: getattr(episode, field.name) for field in fields(episode)}
    return EpisodeDetails(**known, flagged_records=tuple(records))


def acknowledge_episode(installation: Installation, number: int, note: str = "") -> EpisodeSummary:
    """Acknowledge an episode, and return the episode.

    The episode stays open until its records are calm.

    Raises:
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    monitor = find_episode(installation, number).monitor
    store = installation.changing("acknowledge", monitor, episode=number, note=note)
    episode_queries.acknowledge(store, number, note, installation.author)
    return find_episode(installation, number)


def close_episode(installation: Installation, number: int, note: str = "") -> EpisodeSummary:
    """Close an episode by hand, and return the episode. The next anomaly begins a new episode.

    Raises:
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    monitor = find_episode(installation, number).monitor
    store = installation.changing("close", monitor, episode=number, note=note)
    episode_queries.close(store, number, note)
    return find_episode(installation, number)


def label_episode(installation: Installation, number: int, label: str) -> EpisodeSummary:
    """Give an episode a label, and return the episode. An empty label removes the present label.

    Later episodes that are similar to this episode are reported with its label.

    Raises:
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    monitor = find_episode(installation, number).monitor
    store = installation.changing("label", monitor, episode=number, label=label)
    episode_queries.label(store, number, label)
    return find_episode(installation, number)
