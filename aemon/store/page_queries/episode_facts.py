"""What the store knows about the records of one episode: feedback, and shares over time."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aemon.detection.similar_episodes import likeness
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.episodes import reported_before
from aemon.store.schema.tables import anomalies, feedback
from aemon.store.store import Store

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
class GivenOnEpisode:
    """Feedback of one verdict on the records of an episode, with the newest note."""

    verdict: str
    records: int
    newest_at: datetime
    note: str


def feedback_on(store: Store, episode: int) -> list[GivenOnEpisode]:
    """Return the feedback on the records of an episode, by verdict, newest first.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(
            feedback.c.verdict,
            feedback.c.record_key,
            anomalies.c.entity,
            feedback.c.created_at,
            feedback.c.note,
        )
        .join(
            anomalies,
            sa.and_(
                anomalies.c.monitor == feedback.c.monitor,
                anomalies.c.record_key == feedback.c.record_key,
                sa.or_(feedback.c.entity.is_(None), feedback.c.entity == anomalies.c.entity),
            ),
        )
        .where(anomalies.c.episode_id == episode)
        .order_by(feedback.c.id)
    )
    records: dict[str, set[tuple[str, str]]] = {}
    newest: dict[str, tuple[datetime, str]] = {}
    with store.reading() as connection:
        for verdict, key, entity, at, note in connection.execute(query):
            records.setdefault(verdict, set()).add((entity, key))
            newest[verdict] = (at, note)
    found = [
        GivenOnEpisode(verdict=verdict, records=len(records[verdict]), newest_at=at, note=note)
        for verdict, (at, note) in newest.items()
    ]
    return sorted(found, key=lambda each: each.newest_at, reverse=True)


def similar_before(store: Store, episode: EpisodeSummary, most: int) -> list[SimilarEpisode]:
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
