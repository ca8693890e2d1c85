"""The episode tracker: assigns newly flagged records to episodes."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from aemon.config.episode_settings import EpisodeSettings
from aemon.config.receiver_settings import BACKLOG
from aemon.detection.episode_forming import Episodes, Flagged
from aemon.detection.judgement import Explanation
from aemon.detection.similar_episodes import Like, most_like, signed_shares
from aemon.logs import Action, log
from aemon.monitoring.earlier_episodes import EarlierEpisodes
from aemon.monitoring.judged import Judged
from aemon.records import Episode, EpisodeState
from aemon.run_report import RunCounts
from aemon.store.episodes import (
    count_open,
    episode_near,
    open_episodes,
    write_episodes,
)
from aemon.store.store import Commit
from aemon.store.verdicts import Saved

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class News:
    """A change of a reported episode, with the most similar earlier episode.

    Attributes:
        episode: the episode after the change.
        like: the most similar earlier episode; None if no earlier episode is similar.
        opened: whether this commit opened the episode.
        closed: whether this commit closed the episode.
    """

    episode: Episode
    like: Like | None
    opened: bool
    closed: bool


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """Changes of episodes by one commit.

    Attributes:
        members: row of a newly flagged record -> id of its episode.
        news: changes to log after the commit.
        counts: number of episodes opened by this commit, and number of open episodes.
    """

    members: Mapping[int, int] = field(default_factory=dict)
    news: tuple[News, ...] = ()
    counts: RunCounts = field(default_factory=RunCounts)


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeTracker:
    """The episodes of one monitor, updated with every commit.

    Attributes:
        monitor: name of the monitor.
        settings: rules by which anomalies form episodes.
    """

    monitor: str
    settings: EpisodeSettings

    def advance(self, commit: Commit, saved: Saved, judged: Judged) -> Advanced:
        """Write the episodes that continue, begin or end with these records.

        Args:
            commit: the commit that writes the verdicts.
            saved: masks (N,) of the records that are new, changed or newly flagged.
            judged: the N records; if all of them are late, they continue no open episode.

        Returns:
            The changes of episodes, with the episode of each newly flagged record.

        Raises:
            StoreError: the database fails.
        """
        rows = np.flatnonzero(judged.judgement.over_threshold).tolist()
        flagged = {
            row: _flagged(judged, row, explanation)
            for row, explanation in zip(rows, judged.explanations, strict=True)
            if saved.flagged[row]
        }
        rules = Episodes(settings=self.settings, at=saved.at)
        if judged.all_late:
            return self._one_by_one(commit, judged, flagged, rules)
        continued = {} if judged.history else open_episodes(commit.connection, self.monitor)
        if not flagged and not continued:
            return Advanced()
        frame, judgement = judged.frame, judged.judgement
        calm = saved.fresh & ~judgement.unjudged & (judgement.exceedances < self.settings.end_line)
        newest = frame.aware_time(int(frame.times.argmax())) if len(frame) else None
        changed, member = rules.follow(
            continued, frame.entities, flagged, calm & ~judgement.anomalous, newest
        )
        if judged.history:
            changed = [replace(episode, state=EpisodeState.CLOSED) for episode in changed]
        before = {episode.id: episode for episode in continued.values()}
        ids, advanced = self._write(commit, changed, before, saved.at)
        return replace(advanced, members={row: ids[place] for row, place in member.items()})

    def _one_by_one(
        self, commit: Commit, judged: Judged, flagged: Mapping[int, Flagged], rules: Episodes
    ) -> Advanced:
        members: dict[int, int] = {}
        news: list[News] = []
        counts = RunCounts()
        for row, anomaly in flagged.items():
            entity = judged.frame.entities[row]
            near = self._near(commit, entity, anomaly.event_time)
            episode = rules.joined(near, anomaly) if near else rules.alone(entity, anomaly)
            before = {near.id: near} if near else {}
            (members[row],), advanced = self._write(commit, [episode], before, rules.at)
            news += advanced.news
            counts += advanced.counts
        return Advanced(members=members, news=tuple(news), counts=counts)

    def _near(self, commit: Commit, entity: str, time: datetime) -> Episode | None:
        """Return the episode that a late anomaly joins; None without such an episode.

        The episode contains the time of the anomaly, or at most `gap` normal records lie between
        the episode and the anomaly.
        """
        within = self.settings.longest_gap
        near = episode_near(commit.connection, self.monitor, entity, time, within)
        return near[0] if near is not None and near[1] <= self.settings.gap else None

    def _write(
        self,
        commit: Commit,
        changed: Sequence[Episode],
        before: Mapping[int | None, Episode],
        at: datetime,
    ) -> tuple[list[int], Advanced]:
        """Write changed episodes; find the most similar earlier episode of each reported episode.

        Returns:
            The ids of the changed episodes, in their order; the changes to log and to count.
        """
        connection, news, opened_now = commit.connection, [], Counter[str]()
        ids = write_episodes(connection, self.monitor, changed, at)
        newest = max((episode.started_at for episode in changed), default=at)
        earlier = EarlierEpisodes(connection, self.monitor, newest)
        for written, number in zip(changed, ids, strict=True):
            episode, was = replace(written, id=number), before.get(written.id)
            if not episode.is_reported:
                continue
            opened = was is None or not was.is_reported
            ended = episode.state is EpisodeState.CLOSED
            closed = ended and (opened or (was is not None and was.state != EpisodeState.CLOSED))
            grew = was is not None and episode.peak_exceedance > was.peak_exceedance
            if opened or closed or grew:
                episode, like = _compared(earlier, episode)
                if episode != replace(written, id=number):
                    write_episodes(connection, self.monitor, [episode], at)
                news.append(News(episode=episode, like=like, opened=opened, closed=closed))
            history = ended and at - episode.ended_at > BACKLOG
            opened_now[episode.severity.value] += int(opened and not history)
        counts = RunCounts(
            episodes_opened=opened_now, episodes_open=count_open(connection, self.monitor, at)
        )
        return ids, Advanced(news=tuple(news), counts=counts)


def _compared(earlier: EarlierEpisodes, episode: Episode) -> tuple[Episode, Like | None]:
    """Find the most similar earlier episode.

    Return the given episode with `like_id` and `likeness`, and the similar episode; None if no
    earlier episode is similar.
    """
    like = most_like(episode.signed, earlier.before(episode))
    if like is None:
        return replace(episode, like_id=None, likeness=None), None
    return replace(episode, like_id=like.id, likeness=like.likeness), like


def _flagged(judged: Judged, row: int, explanation: Explanation) -> Flagged:
    return Flagged(
        record_key=judged.frame.keys[row],
        event_time=judged.frame.aware_time(row),
        exceedance=float(judged.judgement.exceedances[row]),
        severity=judged.judgement.severity(row),
        shares={part.column: part.share for part in explanation.contributions},
        signed=signed_shares(explanation.contributions),
    )


def log_news(monitor: str, news: Sequence[News]) -> None:
    """Log each opened and each closed episode once."""
    for change in news:
        episode = change.episode
        for level, action, happened in (
            (logging.WARNING, Action.EPISODE_OPENED, change.opened),
            (logging.INFO, Action.EPISODE_CLOSED, change.closed),
        ):
            if happened:
                log(
                    logger,
                    level,
                    action,
                    sentence(episode, change.like),
                    monitor=monitor,
                    episode=episode.id,
                    **({"entity": episode.entity} if episode.entity else {}),
                    severity=episode.severity.value,
                    started_at=f"{episode.started_at:%Y-%m-%dT%H:%M:%SZ}",
                )


def sentence(episode: Episode, like: Like | None) -> str:
    """Return a sentence about an episode: records, peak exceedance, column most to blame."""
    records = f"{episode.records} record{'' if episode.records == 1 else 's'}"
    text = f"{records}, {episode.peak_exceedance:.1f} x the threshold, mostly {episode.feature}"
    return f"{text}; {like}" if like else text
