"""Operations of people on episodes: list, acknowledge, close, label, give feedback on records."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import EpisodeState, FeedbackVerdict, Identity, similar_episode_text
from aemon.store.keysets import is_before
from aemon.store.schema.tables import anomalies, episodes, feedback, scores
from aemon.store.store import Store

_MAY_CLOSE = (EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeSummary:
    """An episode that was long enough to be notified.

    Attributes:
        blame: column -> sum of the column's contributions to the anomalies.
        like_id: id of a similar earlier episode; None without a similar episode.
        like_label: name of the similar earlier episode.
    """

    id: int
    monitor: str
    entity: str
    state: str
    severity: str
    started_at: datetime
    ended_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None
    records: int
    peak_exceedance: float
    peak_record_key: str
    feature: str
    blame: dict[str, float]
    label: str
    note: str
    like_id: int | None
    like_label: str | None
    likeness: float | None
    acknowledged_by: str = ""

    @property
    def like(self) -> str:
        """A text that names the similar earlier episode; empty without a similar episode."""
        return (
            ""
            if self.like_id is None
            else similar_episode_text(self.like_id, self.like_label or "")
        )


class EpisodesWanted(TypedDict, total=False):
    """Conditions on episodes; a condition that is absent or None excludes no episode.

    Keys:
        number: id of the only episode to return.
        entity: only episodes of this entity.
        states: only episodes in one of these states.
        since: only episodes whose last anomaly so far is at or after this time.
        until: only episodes that began before this time.
        after: (time of the begin, id) of an episode; only episodes after this episode in the list.
    """

    number: int | None
    entity: str | None
    states: Collection[str] | None
    since: datetime | None
    until: datetime | None
    after: tuple[datetime, int] | None


def episode_summaries(
    store: Store,
    monitors: Collection[str],
    *,
    open_only: bool = False,
    limit: int = 20,
    **wanted: Unpack[EpisodesWanted],
) -> list[EpisodeSummary]:
    """Return notified episodes of these monitors, newest first.

    Args:
        store: the store.
        monitors: names of the monitors.
        open_only: True to leave out closed episodes.
        limit: the largest number of episodes.
        wanted: more conditions.

    Raises:
        StoreError: the database fails.
    """
    earlier = episodes.alias("earlier")
    names = [name for name in EpisodeSummary.__slots__ if name != "like_label"]
    query = (
        sa.select(*(episodes.c[name] for name in names), earlier.c.label.label("like_label"))
        .outerjoin(earlier, earlier.c.id == episodes.c.like_id)
        .where(episodes.c.monitor.in_(monitors), episodes.c.opened_at.is_not(None))
        .order_by(episodes.c.started_at.desc(), episodes.c.id.desc())
        .limit(limit)
    )
    if open_only:
        query = query.where(episodes.c.state.in_(_MAY_CLOSE))
    query = query.where(*_conditions(wanted))
    with store.reading() as connection:
        return [EpisodeSummary(**row) for row in connection.execute(query).mappings()]


def _conditions(wanted: EpisodesWanted) -> Iterator[sa.ColumnElement[bool]]:
    if (number := wanted.get("number")) is not None:
        yield episodes.c.id == number
    if (entity := wanted.get("entity")) is not None:
        yield episodes.c.entity == entity
    if (states := wanted.get("states")) is not None:
        yield episodes.c.state.in_(states)
    if (since := wanted.get("since")) is not None:
        yield episodes.c.ended_at >= since
    if (until := wanted.get("until")) is not None:
        yield episodes.c.started_at < until
    if (after := wanted.get("after")) is not None:
        yield is_before((episodes.c.started_at, episodes.c.id), after)


def acknowledge(store: Store, number: int, note: str = "", author: str = "") -> None:
    """Mark an episode as acknowledged by a person; the episode continues like an open episode.

    A closed episode stays closed. If an episode is acknowledged twice, the time and the author of
    the first call and the note of the last call are kept.

    Raises:
        StoreError: the database fails.
    """
    state = sa.case(
        (episodes.c.state == EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED.value),
        else_=episodes.c.state,
    )
    at = sa.func.coalesce(
        episodes.c.acknowledged_at, sa.literal(store.now(), episodes.c.acknowledged_at.type)
    )
    by = sa.case((episodes.c.acknowledged_at.is_(None), author), else_=episodes.c.acknowledged_by)
    values = {"state": state, "acknowledged_at": at, "acknowledged_by": by, **_noted(note)}
    _change(store, number, values)


def close(store: Store, number: int, note: str = "") -> None:
    """Close an episode by hand; the next anomaly begins a new episode.

    Raises:
        StoreError: the database fails.
    """
    _change(store, number, {"state": EpisodeState.CLOSED.value, **_noted(note)})


def label(store: Store, number: int, text: str) -> None:
    """Give an episode a name; notifications of later similar episodes show this name.

    Raises:
        StoreError: the database fails.
    """
    _change(store, number, {"label": text})


def _noted(note: str) -> dict[str, str]:
    return {"note": note} if note else {}


def _change(store: Store, number: int, values: dict[str, Any]) -> None:
    # A scoring run may continue the episode meanwhile: the run locks the episode's row, and it
    # writes other columns.
    with store.writing() as connection:
        connection.execute(sa.update(episodes).where(episodes.c.id == number).values(values))


def records_of(connection: sa.Connection, number: int) -> list[Identity]:
    """Return (entity, record key) of the records of an episode that are still flagged.

    The newest verdict on a record decides whether the record is flagged.
    """
    same = (
        anomalies.c[name] == scores.c[name]
        for name in ("monitor", "record_key", "entity", "revision", "event_time")
    )
    query = (
        sa.select(anomalies.c.entity, anomalies.c.record_key)
        .join(scores, sa.and_(*same, scores.c.superseded_at.is_(None)))
        .where(anomalies.c.episode_id == number)
        .order_by(anomalies.c.event_time, anomalies.c.record_key)
    )
    return [(entity, key) for entity, key in connection.execute(query)]


def add_episode_feedback(
    store: Store,
    episode: EpisodeSummary,
    verdict: FeedbackVerdict,
    note: str = "",
    author: str = "",
) -> int:
    """Store the same feedback for each record of an episode; return the number of records.

    All feedback is stored in one transaction.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        rows = [
            {
                "monitor": episode.monitor,
                "record_key": key,
                "entity": entity,
                "verdict": verdict,
                "note": note,
                "created_at": store.now(),
                "author": author,
            }
            for entity, key in records_of(connection, episode.id)
        ]
        if rows:
            connection.execute(sa.insert(feedback), rows)
    return len(rows)
