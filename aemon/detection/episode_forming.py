"""Episodes: adjacent anomalies of one entity told as one thing that happened to it."""

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
    """One anomaly, as far as an episode is told by it."""

    record_key: str
    event_time: datetime
    exceedance: float
    severity: Severity
    shares: Mapping[str, float]  # of the blame, by column
    signed: Mapping[str, float]  # the same, negative below the expectation


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """The rules by which anomalies become episodes, at one moment.

    Attributes:
        settings: the rules.
        at: when the records are judged: an episode that is long enough is told from then on.
    """

    settings: EpisodeSettings
    at: datetime

    def follow(
        self,
        going_on: Mapping[str, Episode],
        entities: npt.NDArray[np.object_],
        anomalies: Mapping[int, Flagged],
        calm: Mask,
        newest: datetime | None = None,
    ) -> tuple[list[Episode], dict[int, int]]:
        """Carry episodes on over N records that follow them, in their order.

        An anomaly goes on with its entity's episode, or begins one. An episode is closed when
        more than `gap` calm records in a row follow its last anomaly, or more than `longest_gap`
        of time. Records that are neither anomalies nor calm say nothing: absent ones, suppressed
        ones, those between the line where an episode begins and the lower one where it ends.

        Args:
            going_on: entity -> the episode it is in.
            entities: (N,) whose each record is.
            anomalies: row -> the anomaly there.
            calm: (N,) records below the line where episodes end.
            newest: event time up to which the monitor's records are known, of any entity.

        Returns:
            Every episode that is new or has changed, and for each anomalous row its place there.
        """
        changed: list[Episode] = []
        member: dict[int, int] = {}
        touched = {entities[row] for row in anomalies} | set(going_on)
        for entity in sorted(touched):
            rows = np.flatnonzero(entities == entity)
            calm_before = np.cumsum(calm[rows])
            current, seen = going_on.get(entity), 0
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
            elif current != going_on.get(entity) or passed:
                changed.append(replace(current, calm_records=current.calm_records + passed))
        return changed, member

    def alone(self, entity: str, anomaly: Flagged) -> Episode:
        """An episode of one anomaly that came in late: what followed it is known, and was calm."""
        return replace(self._with(None, entity, anomaly), state=EpisodeState.CLOSED)

    def joined(self, episode: Episode, anomaly: Flagged) -> Episode:
        """An episode with one more anomaly in its midst; a closed one stays closed."""
        grown = self._with(episode, episode.entity, anomaly)
        return replace(grown, calm_records=episode.calm_records)

    def _is_over(self, episode: Episode, passed: int, time: datetime) -> bool:
        too_calm = episode.calm_records + passed > self.settings.gap
        return too_calm or time - episode.ended_at > self.settings.longest_gap

    def _with(self, episode: Episode | None, entity: str, anomaly: Flagged) -> Episode:
        if episode is None:
            return self._told(
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
        return self._told(
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

    def _told(self, episode: Episode) -> Episode:
        """The episode, told from now on if it has just become long enough for that."""
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
