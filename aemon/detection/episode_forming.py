"""How adjacent anomalies of one entity become an episode, which is reported as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from aemon.config.episode_settings import EpisodeSettings
from aemon.detection.arrays import Mask
from aemon.records import Episode, EpisodeState, Severity


@dataclass(frozen=True, kw_only=True, eq=False)
class Flagged:
    """An anomaly with the values that are needed to add the anomaly to an episode."""

    record_key: str
    event_time: datetime
    exceedance: float
    severity: Severity
    shares: Mapping[str, float]  # column -> share of the blame
    signed: Mapping[str, float]  # column -> share, negative if the value is below expectation


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """The rules that form episodes from anomalies, applied at one scoring time.

    Attributes:
        settings: the configured rules.
        at: scoring time of the records; an episode that becomes long enough opens at this time.
    """

    settings: EpisodeSettings
    at: datetime

    def follow(
        self,
        open_episodes: Mapping[str, Episode],
        entities: npt.NDArray[np.object_],
        anomalies: Mapping[int, Flagged],
        calm: Mask,
        newest: datetime | None = None,
    ) -> tuple[list[Episode], dict[int, int]]:
        """Continue, begin and close episodes with the next N records, in the order of the records.

        An anomaly continues the current episode of its entity. Without a current episode, the
        anomaly begins an episode. An episode is closed when more than `gap` calm records follow its
        last anomaly, or when more time than `longest_gap` has passed since its last anomaly. Some
        records are neither anomalies nor calm and do not count: absent records, suppressed records,
        and records between the threshold and the score below which a record is calm.

        Args:
            open_episodes: entity -> current episode of the entity.
            entities: (N,) entity of each record.
            anomalies: row -> the anomaly in that row.
            calm: (N,) True for calm records.
            newest: event time up to which the records of all entities are known.

        Returns:
            A list of all new and changed episodes; and row of an anomaly -> index of the anomaly's
            episode in this list.
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
                if current is not None and self._is_over(
                    current, passed, anomalies[row].event_time
                ):
                    changed.append(_closed(current, passed))
                    current = None
                current = self._with(current, entity, anomalies[row])
                member[row] = len(changed)
            if current is None:
                continue
            passed = int(calm_before[-1]) - seen if len(rows) else 0
            if self._is_over(current, passed, newest or current.ended_at):
                changed.append(_closed(current, passed))
            elif current != open_episodes.get(entity) or passed:
                changed.append(replace(current, calm_records=current.calm_records + passed))
        return changed, member

    def alone(self, entity: str, anomaly: Flagged) -> Episode:
        """Return a closed episode that consists of one late anomaly.

        The episode is closed because the known records after the anomaly were calm.
        """
        return replace(self._with(None, entity, anomaly), state=EpisodeState.CLOSED)

    def joined(self, episode: Episode, anomaly: Flagged) -> Episode:
        """Return the episode after a late anomaly is added; a closed episode stays closed."""
        grown = self._with(episode, episode.entity, anomaly)
        return replace(grown, calm_records=episode.calm_records)

    def _is_over(self, episode: Episode, passed: int, time: datetime) -> bool:
        too_calm = episode.calm_records + passed > self.settings.gap
        return too_calm or time - episode.ended_at > self.settings.longest_gap

    def _with(self, episode: Episode | None, entity: str, anomaly: Flagged) -> Episode:
        if episode is None:
            return self._opened(
                Episode(
                    entity=entity,
                    state=EpisodeState.FORMING,
                    started_at=anomaly.event_time,
                    ended_at=anomaly.event_time,
                    records=1,
                    severity=anomaly.severity,
                    peak_exceedance=anomaly.exceedance,
                    peak_record_key=anomaly.record_key,
                    blame=dict(anomaly.shares),
                    signed=dict(anomaly.signed),
                )
            )
        peak = anomaly.exceedance > episode.peak_exceedance
        critical = anomaly.severity is Severity.CRITICAL
        return self._opened(
            replace(
                episode,
                started_at=min(episode.started_at, anomaly.event_time),
                ended_at=max(episode.ended_at, anomaly.event_time),
                records=episode.records + 1,
                severity=anomaly.severity if critical else episode.severity,
                peak_exceedance=anomaly.exceedance if peak else episode.peak_exceedance,
                peak_record_key=anomaly.record_key if peak else episode.peak_record_key,
                blame=_sum(episode.blame, anomaly.shares),
                signed=_sum(episode.signed, anomaly.signed),
                calm_records=0,
            )
        )

    def _opened(self, episode: Episode) -> Episode:
        """Return the episode with its opening time, once it has enough anomalies for a report.

        A forming episode becomes open. A closed episode stays closed.
        """
        if episode.is_reported or episode.records < self.settings.min_records:
            return episode
        forming = episode.state is EpisodeState.FORMING
        state = EpisodeState.OPEN if forming else episode.state
        return replace(episode, state=state, opened_at=self.at)


def _closed(episode: Episode, passed: int) -> Episode:
    return replace(episode, state=EpisodeState.CLOSED, calm_records=episode.calm_records + passed)


def _sum(shares: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    return {
        name: shares.get(name, 0.0) + more.get(name, 0.0)
        for name in dict.fromkeys((*shares, *more))
    }
