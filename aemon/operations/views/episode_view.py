"""The page of an episode: what happened, the columns to blame, and what people said about it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aemon.detection.similar_episodes import likeness
from aemon.operations.episode_handling import find_episode
from aemon.operations.installation import Installation
from aemon.records import EpisodeState
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.episodes import reported_before
from aemon.store.page_queries.episode_feedback import GivenOnEpisode, feedback_on
from aemon.store.queries import FlaggedRecord, flagged_records
from aemon.store.store import Store

MOST_RECORDS = 50  # newest records of the table
MOST_DRAWN = 1000  # newest records of the lanes
MOST_COLUMNS = 12
MOST_SIMILAR = 5
PIECES = 60  # of a lane
LEAST_LIKENESS = 0.7  # of an earlier episode that is listed
MOST_COMPARED = 300  # earlier episodes


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarEpisode:
    """An earlier episode with a similar pattern; a likeness of 1 means equal patterns."""

    id: int
    started_at: datetime
    label: str
    likeness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BlamedLane:
    """A column with its share of the episode, and its largest share in each piece of time."""

    column: str
    share: float
    values: Sequence[float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodePage:
    """The contents of the page of an episode.

    Attributes:
        records: the newest flagged records.
        sentence: what happened, in one sentence.
        blamed: the columns, that with the largest share first.
        similar: similar earlier episodes.
        feedback: what people said about its records.
        sql: a query that shows the same records.
        commands: commands that show the same.
    """

    episode: EpisodeSummary
    records: tuple[FlaggedRecord, ...]
    sentence: str
    blamed: tuple[BlamedLane, ...]
    similar: tuple[SimilarEpisode, ...]
    feedback: tuple[GivenOnEpisode, ...]
    sql: str
    commands: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether the episode is not closed."""
        return self.episode.state != EpisodeState.CLOSED


def episode_page_of(installation: Installation, number: int) -> EpisodePage:
    """Return the contents of the page of an episode.

    Raises:
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    episode = find_episode(installation, number)
    store = installation.store
    records = flagged_records(store, monitor=episode.monitor, episode=number, limit=MOST_DRAWN)
    peak = max(records, key=lambda record: record.exceedance, default=None)
    monitor = shlex.quote(episode.monitor)
    commands = [f"aemon episodes show {number}"]
    if peak is not None:
        entity = f" --entity {shlex.quote(peak.entity)}" if peak.entity else ""
        commands.append(f"aemon explain {monitor} {shlex.quote(peak.record_key)}{entity}")
    return EpisodePage(
        episode=episode,
        records=tuple(records[:MOST_RECORDS]),
        sentence=peak.reason if peak is not None else "",
        blamed=_lanes(episode, records),
        similar=tuple(_similar_before(store, episode, MOST_SIMILAR)),
        feedback=tuple(feedback_on(store, number)),
        sql=(
            "SELECT event_time, entity, record_key, exceedance, reason\n"
            f"FROM flagged_records\nWHERE episode_id = {number}\nORDER BY event_time;"
        ),
        commands=tuple(commands),
    )


def _lanes(episode: EpisodeSummary, records: Sequence[FlaggedRecord]) -> tuple[BlamedLane, ...]:
    """Return a lane for each of the columns with the largest contributions."""
    total = sum(episode.blame.values()) or 1.0
    names = sorted(episode.blame, key=lambda name: -episode.blame[name])[:MOST_COLUMNS]
    lanes: dict[str, list[float | None]] = {name: [None] * PIECES for name in names}
    begin = episode.started_at.timestamp()
    length = max(1.0, episode.ended_at.timestamp() - begin)
    for record in records:
        piece = int((record.event_time.timestamp() - begin) / length * (PIECES - 1))
        if not 0 <= piece < PIECES:
            continue
        for part in record.columns:
            if part.column in lanes:
                known = lanes[part.column][piece] or 0.0
                lanes[part.column][piece] = max(known, part.share)
    return tuple(
        BlamedLane(column=name, share=episode.blame[name] / total, values=lanes[name])
        for name in names
    )


def _similar_before(store: Store, episode: EpisodeSummary, most: int) -> list[SimilarEpisode]:
    """Return the earlier episodes of a monitor that are most similar to an episode.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        known = reported_before(connection, episode.monitor, episode.started_at, MOST_COMPARED)
    own = next((each.pattern for each in known if each.id == episode.id), None)
    if own is None:
        return []
    found = [
        SimilarEpisode(
            id=each.id,
            started_at=each.started_at,
            label=each.label,
            likeness=likeness(own, each.pattern),
        )
        for each in known
        if each.id != episode.id
    ]
    found.sort(key=lambda each: -each.likeness)
    return [each for each in found[:most] if each.likeness >= LEAST_LIKENESS]
