"""Episodes in the store: read and written in the transaction that writes their anomalies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from aemon.config.receiver_settings import BACKLOG
from aemon.records import (
    Episode,
    EpisodeState,
    Identity,
    Job,
    NamedEpisode,
    OpenEpisodes,
    Severity,
    Verdict,
)
from aemon.store.known_records import Known
from aemon.store.schema.junk import word_of
from aemon.store.schema.tables import anomalies, episodes, runs, scores
from aemon.store.store import KEYS_AT_ONCE

_NAMES = (
    "entity", "state", "started_at", "ended_at", "records", "severity", "peak_exceedance",
    "peak_record_key", "feature", "blame", "calm_records", "opened_at", "like_id", "likeness",
)  # fmt: skip


NOT_ENDED = (EpisodeState.FORMING, EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED)


def open_episodes(connection: sa.Connection, monitor: str) -> dict[str, Episode]:
    """Return entity -> episode, for the episodes that are forming, open or acknowledged.

    Lock the rows, so that no person changes the episodes until the transaction ends.
    """
    query = (
        sa.select(episodes)
        .where(episodes.c.monitor == monitor, episodes.c.state.in_(NOT_ENDED))
        .order_by(episodes.c.id)
        .with_for_update()
    )
    found = [_episode(row) for row in connection.execute(query).mappings()]
    return {episode.entity: episode for episode in found}


NOT_CLOSED = (EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED)
MOST_NAMED = 20
"""The largest number of episodes that are named, for each monitor and severity.

A named episode is shown with its id and entity. Further episodes are only counted.
"""

NAMED_FOR = timedelta(minutes=5)
"""An episode that was opened less than this time ago is named, even if it is closed."""


def count_open(connection: sa.Connection, monitor: str, at: datetime) -> OpenEpisodes:
    """Return the numbers of notified episodes that are not closed, and the named episodes.

    Args:
        connection: an open connection.
        monitor: name of the monitor.
        at: the present time; closed episodes that were opened recently are named, too.
    """
    return counts_open(connection, [monitor], at)[monitor]


def counts_open(
    connection: sa.Connection, monitors: Sequence[str], at: datetime
) -> dict[str, OpenEpisodes]:
    """Return monitor -> the result of `count_open`, for each of these monitors."""
    counts: dict[str, Counter[tuple[str, str]]] = {monitor: Counter() for monitor in monitors}
    columns = (episodes.c.monitor, episodes.c.state, episodes.c.severity)
    for start in range(0, len(monitors), KEYS_AT_ONCE):
        query = (
            sa.select(*columns, sa.func.count())
            .where(
                episodes.c.monitor.in_(monitors[start : start + KEYS_AT_ONCE]),
                sa.or_(episodes.c.state.in_(NOT_CLOSED), episodes.c.opened_at >= at - NAMED_FOR),
            )
            .group_by(*columns)
        )
        for monitor, state, severity, count in connection.execute(query):
            counts[monitor][severity, state] += count
    return {
        monitor: _open_episodes(count, _named(connection, monitor, count, at))
        for monitor, count in counts.items()
    }


def total_open(connection: sa.Connection, monitors: Sequence[str]) -> int:
    """Return the number of episodes of these monitors that are notified and not closed."""
    query = sa.select(sa.func.count()).select_from(episodes)
    pieces = (monitors[at : at + KEYS_AT_ONCE] for at in range(0, len(monitors), KEYS_AT_ONCE))
    return sum(
        connection.execute(
            query.where(episodes.c.monitor.in_(some), episodes.c.state.in_(NOT_CLOSED))
        ).scalar_one()
        for some in pieces
    )


def _named(
    connection: sa.Connection, monitor: str, count: Counter[tuple[str, str]], at: datetime
) -> list[NamedEpisode]:
    """Return at most `MOST_NAMED` episodes of each severity.

    Open episodes come first, and then closed episodes that were opened recently.
    """
    found: list[NamedEpisode] = []
    recent = sa.and_(
        episodes.c.state == EpisodeState.CLOSED,
        episodes.c.opened_at >= at - NAMED_FOR,
        episodes.c.ended_at >= at - BACKLOG,
        is_news(),
    )
    columns = (episodes.c[name] for name in ("id", "entity", "severity", "state", "feature"))
    query = sa.select(*columns).order_by(episodes.c.state == EpisodeState.CLOSED, episodes.c.id)
    for severity in sorted({severity for severity, _ in count}):
        which = (
            episodes.c.monitor == monitor,
            episodes.c.severity == severity,
            sa.or_(episodes.c.state.in_(NOT_CLOSED), recent),
        )
        for number, entity, level, state, feature in connection.execute(
            query.where(*which).limit(MOST_NAMED)
        ):
            found.append(
                NamedEpisode(
                    id=number,
                    entity=entity,
                    severity=word_of(Severity, level, Severity.WARNING),
                    state=word_of(EpisodeState, state, EpisodeState.CLOSED),
                    column=feature,
                )
            )
    return found


def _open_episodes(count: Counter[tuple[str, str]], named: Sequence[NamedEpisode]) -> OpenEpisodes:
    named_open = Counter(
        episode.severity.value for episode in named if episode.state != EpisodeState.CLOSED
    )
    all_open = Counter[str]()
    for (severity, state), number in count.items():
        all_open[severity] += number if state in NOT_CLOSED else 0
    return OpenEpisodes(
        warning=count[Severity.WARNING, EpisodeState.OPEN],
        critical=count[Severity.CRITICAL, EpisodeState.OPEN],
        acknowledged=sum(
            n for (_, state), n in count.items() if state == EpisodeState.ACKNOWLEDGED
        ),
        named=tuple(named),
        unnamed=dict(all_open - named_open),
    )


def is_news() -> sa.ColumnElement[bool]:
    """Return the condition that no anomaly of an episode has a hindsight verdict."""
    same = (
        anomalies.c[name] == scores.c[name]
        for name in ("monitor", "record_key", "entity", "revision", "event_time")
    )
    return ~sa.exists().where(
        anomalies.c.episode_id == episodes.c.id,
        *same,
        runs.c.id == scores.c.run_id,
        runs.c.job == Job.HINDSIGHT,
    )


class ReportedEpisode(NamedTuple):
    """A notified episode, with the fields for the comparison with later episodes."""

    id: int
    started_at: datetime
    label: str
    pattern: dict[str, float]


def reported_before(
    connection: sa.Connection, monitor: str, until: datetime, most: int
) -> list[ReportedEpisode]:
    """Return notified episodes of all entities of a monitor, newest first.

    Args:
        connection: an open connection.
        monitor: name of the monitor.
        until: only episodes that began at this event time or earlier.
        most: the largest number of episodes.
    """
    query = (
        sa.select(*(episodes.c[name] for name in ReportedEpisode._fields))
        .where(
            episodes.c.monitor == monitor,
            episodes.c.opened_at.is_not(None),
            episodes.c.pattern.is_not(None),
            episodes.c.started_at <= until,
        )
        .order_by(episodes.c.started_at.desc(), episodes.c.id.desc())
        .limit(most)
    )
    return [ReportedEpisode(*row) for row in connection.execute(query)]


def episode_near(
    connection: sa.Connection, monitor: str, entity: str, time: datetime, within: timedelta
) -> tuple[Episode, int] | None:
    """Return (episode, count) for the episode of an entity that is nearest to an event time.

    The count is the number of normal records between the episode and the event time; 0 if the
    time is within the episode. Return None if all episodes are farther away than `within`.
    """
    near = sa.and_(
        episodes.c.monitor == monitor,
        episodes.c.entity == entity,
        episodes.c.started_at <= time + within,
        episodes.c.ended_at >= time - within,
    )
    rows = connection.execute(sa.select(episodes).where(near)).mappings().all()
    found = min(map(_episode, rows), key=lambda episode: _distance(episode, time), default=None)
    if found is None:
        return None
    first, last = sorted((time, found.ended_at if found.ended_at < time else found.started_at))
    between = sa.select(sa.func.count()).where(
        scores.c.monitor == monitor,
        scores.c.entity == entity,
        scores.c.event_time > first,
        scores.c.event_time < last,
        scores.c.verdict == Verdict.NORMAL,
        scores.c.superseded_at.is_(None),
    )
    inside = found.started_at <= time <= found.ended_at
    return found, 0 if inside else connection.execute(between).scalar_one()


def _distance(episode: Episode, time: datetime) -> timedelta:
    return max(episode.started_at - time, time - episode.ended_at, timedelta(0))


def episodes_of(
    connection: sa.Connection, monitor: str, old: Mapping[Identity, Known]
) -> dict[Identity, int]:
    """Return (entity, record key) -> id of the episode that the stored anomaly belongs to.

    Args:
        connection: an open connection.
        monitor: name of the monitor.
        old: (entity, record key) -> the stored verdict on the record.
    """
    flagged = {pair: was for pair, was in old.items() if was.verdict == Verdict.ANOMALY}
    names = ("entity", "record_key", "revision", "episode_id")
    query = sa.select(*(anomalies.c[name] for name in names)).where(
        anomalies.c.monitor == monitor, anomalies.c.episode_id.is_not(None)
    )
    keys = list(dict.fromkeys(key for _, key in flagged))
    found: dict[Identity, int] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = anomalies.c.record_key.in_(keys[start : start + KEYS_AT_ONCE])
        for entity, key, revision, episode in connection.execute(query.where(some)):
            was = flagged.get((entity, key))
            if was is not None and was.revision == revision:
                found[entity, key] = episode
    return found


def write_episodes(
    connection: sa.Connection, monitor: str, changed: Sequence[Episode], now: datetime
) -> list[int]:
    """Insert new episodes and update stored episodes; return their ids, in the given order."""
    ids = []
    for episode in changed:
        values = {name: getattr(episode, name) for name in _NAMES}
        values |= {"pattern": episode.signed, "updated_at": now}
        if episode.id is not None:
            connection.execute(
                sa.update(episodes).where(episodes.c.id == episode.id).values(values)
            )
            ids.append(episode.id)
            continue
        made = connection.execute(sa.insert(episodes).values(monitor=monitor, **values))
        ids.append(int(made.inserted_primary_key[0]) if made.inserted_primary_key else 0)
    return ids


def _episode(row: Any) -> Episode:
    values = {name: row[name] for name in (*_NAMES, "id") if name != "feature"}
    values["state"] = word_of(EpisodeState, values["state"], EpisodeState.CLOSED)
    values["severity"] = word_of(Severity, values["severity"], Severity.WARNING)
    values["signed"] = row["pattern"] or {}
    return Episode(**values)
