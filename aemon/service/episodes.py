"""Which episode every newly flagged record belongs to, asked while its verdict is being saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from aemon.detection.episodes import Flagged, alone, follow, joined
from aemon.detection.judgement import Explanation, Judgement
from aemon.frame import Frame
from aemon.store.episodes import episode_at, open_episodes, write_episodes
from aemon.store.verdicts import Saved

if TYPE_CHECKING:
    from aemon.records import Episode


@dataclass(frozen=True, kw_only=True, eq=False)
class Telling:
    """The anomalies of one judged frame, ready to be told as episodes.

    Attributes:
        monitor: whose.
        frame: the N records.
        judgement: of them.
        explanations: of the anomalies, in order.
        gap: normal records that do not end an episode.
        behind: the records were found behind the watermark: they go on with nothing.
    """

    monitor: str
    frame: Frame
    judgement: Judgement
    explanations: Sequence[Explanation]
    gap: int
    behind: bool

    def write(self, connection: sa.Connection, saved: Saved) -> dict[int, int]:
        """Write the episodes; row -> episode, of every newly flagged record."""
        rows = np.flatnonzero(self.judgement.anomalous).tolist()
        flagged = {
            row: self._flagged(row, explanation)
            for row, explanation in zip(rows, self.explanations, strict=True)
            if saved.flagged[row]
        }
        if self.behind:
            return self._one_by_one(connection, flagged, saved)
        calm = saved.fresh & ~self.judgement.anomalous & ~self.judgement.absent
        going_on = open_episodes(connection, self.monitor)
        if not flagged and not going_on:
            return {}
        changed, member = follow(going_on, self.frame.entities, flagged, calm, self.gap)
        ids = write_episodes(connection, self.monitor, changed, saved.at)
        return {row: ids[place] for row, place in member.items()}

    def _one_by_one(
        self, connection: sa.Connection, flagged: dict[int, Flagged], saved: Saved
    ) -> dict[int, int]:
        found: dict[int, int] = {}
        for row, anomaly in flagged.items():
            entity = self.frame.entities[row]
            there = episode_at(connection, self.monitor, entity, anomaly.event_time)
            episode: Episode = joined(there, anomaly) if there else alone(entity, anomaly)
            (found[row],) = write_episodes(connection, self.monitor, [episode], saved.at)
        return found

    def _flagged(self, row: int, explanation: Explanation) -> Flagged:
        return Flagged(
            record_key=self.frame.keys[row],
            event_time=self.frame.aware_time(row),
            exceedance=float(self.judgement.exceedances[row]),
            severity=self.judgement.severity(row),
            shares={part.column: part.share for part in explanation.contributions},
        )
