"""Which episode every newly flagged record belongs to, asked while its verdict is being saved."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import sqlalchemy as sa

from aemon.config.episode_settings import EpisodeSettings
from aemon.config.receiver_settings import BACKLOG
from aemon.detection.episode_forming import Episodes, Flagged
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.similar_episodes import Earlier, Like, most_like, signed_shares
from aemon.frame import Frame
from aemon.logs import Action, log
from aemon.records import Episode, EpisodeState
from aemon.run import Tally
from aemon.store.episodes import (
    count_open,
    episode_at,
    open_episodes,
    told_before,
    write_episodes,
)
from aemon.store.verdicts import Saved

MOST_EARLIER = 300  # episodes that a new one is held against: 20 ms, with 50 columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class News:
    """An episode that people are told of: as it is now, and what it looks like."""

    episode: Episode
    like: Like | None
    opened: bool  # with this commit
    closed: bool  # with this commit


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeTracker:
    """The anomalies of one judged frame, ready to be told as episodes.

    Attributes:
        monitor: whose.
        frame: the N records.
        judgement: of them.
        explanations: of those over the line, in order.
        settings: how anomalies become episodes.
        behind: the records were found behind the watermark: they go on with nothing.
        tally: counts the episodes.
        news: what is to be said once it is committed; `write` adds to it.
    """

    monitor: str
    frame: Frame
    judgement: Judgement
    explanations: Sequence[Explanation]
    settings: EpisodeSettings
    behind: bool
    tally: Tally
    news: list[News] = field(default_factory=list)

    def write(self, connection: sa.Connection, saved: Saved) -> dict[int, int]:
        """Write the episodes; row -> episode, of every newly flagged record."""
        rows = np.flatnonzero(self.judgement.over_threshold).tolist()
        flagged = {
            row: self._flagged(row, explanation)
            for row, explanation in zip(rows, self.explanations, strict=True)
            if saved.flagged[row]
        }
        rules = Episodes(settings=self.settings, at=saved.at)
        if self.behind:
            return self._one_by_one(connection, flagged, rules)
        going_on = open_episodes(connection, self.monitor)
        if not flagged and not going_on:
            return {}
        judgement = self.judgement
        calm = saved.fresh & ~judgement.absent & (judgement.exceedances < self.settings.end_line)
        newest = self.frame.aware_time(int(self.frame.times.argmax())) if len(self.frame) else None
        changed, member = rules.follow(
            going_on, self.frame.entities, flagged, calm & ~judgement.anomalous, newest
        )
        before = {episode.id: episode for episode in going_on.values()}
        ids = self._write(connection, changed, before, saved.at)
        return {row: ids[place] for row, place in member.items()}

    def _one_by_one(
        self, connection: sa.Connection, flagged: dict[int, Flagged], rules: Episodes
    ) -> dict[int, int]:
        found: dict[int, int] = {}
        for row, anomaly in flagged.items():
            entity = self.frame.entities[row]
            there = episode_at(connection, self.monitor, entity, anomaly.event_time)
            episode = rules.joined(there, anomaly) if there else rules.alone(entity, anomaly)
            before = {there.id: there} if there else {}
            (found[row],) = self._write(connection, [episode], before, rules.at)
        return found

    def _write(
        self,
        connection: sa.Connection,
        changed: Sequence[Episode],
        before: Mapping[int | None, Episode],
        at: datetime,
    ) -> list[int]:
        """Write changed episodes, and what each told one looks like; their ids."""
        ids = write_episodes(connection, self.monitor, changed, at)
        for written, number in zip(changed, ids, strict=True):
            episode, was = replace(written, id=number), before.get(written.id)
            if not episode.is_told:
                continue
            opened = was is None or not was.is_told
            ended = episode.state is EpisodeState.CLOSED
            closed = ended and (opened or (was is not None and was.state != EpisodeState.CLOSED))
            grew = was is not None and episode.peak_exceedance > was.peak_exceedance
            if opened or closed or grew:
                episode, like = self._compared(connection, episode)
                if episode != replace(written, id=number):
                    write_episodes(connection, self.monitor, [episode], at)
                self.news.append(News(episode=episode, like=like, opened=opened, closed=closed))
            history = ended and at - episode.ended_at > BACKLOG
            self.tally.episodes_opened.update({episode.severity.value: int(opened and not history)})
        self.tally.episodes_open = count_open(connection, self.monitor)
        return ids

    def _compared(self, connection: sa.Connection, episode: Episode) -> tuple[Episode, Like | None]:
        """An episode, and the earlier one that it looks like."""
        earlier = [
            Earlier(id=number, label=label, pattern=pattern)
            for number, label, pattern in told_before(
                connection, self.monitor, episode, MOST_EARLIER
            )
        ]
        like = most_like(episode.signed, earlier)
        if like is None:
            return replace(episode, like_id=None, likeness=None), None
        return replace(episode, like_id=like.id, likeness=like.likeness), like

    def _flagged(self, row: int, explanation: Explanation) -> Flagged:
        return Flagged(
            record_key=self.frame.keys[row],
            event_time=self.frame.aware_time(row),
            exceedance=float(self.judgement.exceedances[row]),
            severity=self.judgement.severity(row),
            shares={part.column: part.share for part in explanation.contributions},
            signed=signed_shares(explanation.contributions),
        )


def log_news(monitor: str, news: Sequence[News]) -> None:
    """Say which episodes were opened and closed, each once."""
    for one in news:
        episode = one.episode
        for level, action, happened in (
            (logging.WARNING, Action.EPISODE_OPENED, one.opened),
            (logging.INFO, Action.EPISODE_CLOSED, one.closed),
        ):
            if happened:
                log(
                    logger,
                    level,
                    action,
                    sentence(episode, one.like),
                    monitor=monitor,
                    episode=episode.id,
                    **({"entity": episode.entity} if episode.entity else {}),
                    severity=episode.severity.value,
                    started_at=f"{episode.started_at:%Y-%m-%dT%H:%M:%SZ}",
                )


def sentence(episode: Episode, like: Like | None) -> str:
    """An episode in a few words."""
    records = f"{episode.records} record{'' if episode.records == 1 else 's'}"
    told = f"{records}, {episode.peak_exceedance:.1f} x the threshold, mostly {episode.feature}"
    return f"{told}; {like}" if like else told
