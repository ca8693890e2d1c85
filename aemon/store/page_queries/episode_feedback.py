"""The feedback of people on the records of one episode."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aemon.store.schema.tables import anomalies, feedback
from aemon.store.store import Store


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
