"""Episodes: adjacent anomalies of one entity told as one thing that happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from aemon.records import Episode, EpisodeState, Severity

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Flagged:
    """One anomaly, as far as an episode is told by it."""

    record_key: str
    event_time: datetime
    exceedance: float
    severity: Severity
    shares: Mapping[str, float]  # of the blame, by column


def follow(
    open_episodes: Mapping[str, Episode],
    entities: npt.NDArray[np.object_],
    anomalies: Mapping[int, Flagged],
    calm: Flags,
    gap: int,
) -> tuple[list[Episode], dict[int, int]]:
    """Carry episodes on over N records that follow them, in their order.

    An anomaly goes on with its entity's open episode, or begins one. An episode is closed when
    more than `gap` normal records in a row follow its last anomaly; absent records say nothing.

    Args:
        open_episodes: entity -> the episode it is in.
        entities: (N,) whose each record is.
        anomalies: row -> the anomaly there.
        calm: (N,) records that are normal.
        gap: normal records that do not end an episode.

    Returns:
        Every episode that is new or has changed, and for each anomalous row its place there.
    """
    changed: list[Episode] = []
    member: dict[int, int] = {}
    touched = {entities[row] for row in anomalies} | set(open_episodes)
    for entity in sorted(touched):
        rows = np.flatnonzero(entities == entity)
        calm_before = np.cumsum(calm[rows])
        current, seen = open_episodes.get(entity), 0
        for place, row in enumerate(rows.tolist()):
            if row not in anomalies:
                continue
            passed = int(calm_before[place]) - seen
            seen = int(calm_before[place])
            if current is not None and current.calm_records + passed > gap:
                changed.append(_closed(current, passed))
                current = None
            current = _with(current, entity, anomalies[row])
            member[row] = len(changed)
        if current is None:
            continue
        passed = int(calm_before[-1]) - seen if len(rows) else 0
        if current.calm_records + passed > gap:
            changed.append(_closed(current, passed))
        elif current != open_episodes.get(entity) or passed:
            changed.append(replace(current, calm_records=current.calm_records + passed))
    return changed, member


def alone(entity: str, anomaly: Flagged) -> Episode:
    """An episode of one anomaly that came in late: what followed it is known, and was calm."""
    return replace(_with(None, entity, anomaly), state=EpisodeState.CLOSED)


def joined(episode: Episode, anomaly: Flagged) -> Episode:
    """An episode with one more anomaly in its midst."""
    grown = _with(episode, episode.entity, anomaly)
    return replace(grown, calm_records=episode.calm_records)


def _closed(episode: Episode, passed: int) -> Episode:
    return replace(episode, state=EpisodeState.CLOSED, calm_records=episode.calm_records + passed)


def _with(episode: Episode | None, entity: str, anomaly: Flagged) -> Episode:
    if episode is None:
        return Episode(
            entity=entity,
            state=EpisodeState.OPEN,
            started_at=anomaly.event_time,
            ended_at=anomaly.event_time,
            records=1,
            severity=anomaly.severity,
            peak_exceedance=anomaly.exceedance,
            peak_record_key=anomaly.record_key,
            blame=dict(anomaly.shares),
        )
    peak = anomaly.exceedance > episode.peak_exceedance
    critical = anomaly.severity is Severity.CRITICAL
    return replace(
        episode,
        started_at=min(episode.started_at, anomaly.event_time),
        ended_at=max(episode.ended_at, anomaly.event_time),
        records=episode.records + 1,
        severity=anomaly.severity if critical else episode.severity,
        peak_exceedance=anomaly.exceedance if peak else episode.peak_exceedance,
        peak_record_key=anomaly.record_key if peak else episode.peak_record_key,
        blame={
            name: episode.blame.get(name, 0.0) + anomaly.shares.get(name, 0.0)
            for name in dict.fromkeys((*episode.blame, *anomaly.shares))
        },
        calm_records=0,
    )
