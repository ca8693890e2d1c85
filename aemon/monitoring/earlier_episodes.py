"""Reads earlier reported episodes once for all episodes that one commit changes."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from aemon.detection.similar_episodes import Earlier
from aemon.records import Episode
from aemon.store.episodes import ReportedEpisode, reported_before

MOST_EARLIER = 300  # number of episodes to compare with; this takes 20 ms with 50 columns


@dataclass(eq=False)
class EarlierEpisodes:
    """The reported episodes that began before the episodes of a commit, newest first.

    Attributes:
        connection: connection of the commit that wrote the changed episodes.
        monitor: name of the monitor.
        newest: start of the newest of the changed episodes.
    """

    connection: sa.Connection
    monitor: str
    newest: datetime
    _known: list[ReportedEpisode] | None = field(default=None, init=False)

    def before(self, episode: Episode) -> list[Earlier]:
        """Return the newest other episodes that began before an episode or at the same time.

        At most `MOST_EARLIER` episodes are returned.

        Raises:
            StoreError: the database fails.
        """
        most = 2 * MOST_EARLIER
        if self._known is None:
            self._known = reported_before(self.connection, self.monitor, self.newest, most)
        found = _before(self._known, episode)
        if len(found) < MOST_EARLIER and len(self._known) == most:  # the episode began long ago
            until = episode.started_at
            found = _before(
                reported_before(self.connection, self.monitor, until, MOST_EARLIER + 1), episode
            )
        return [Earlier(id=each.id, label=each.label, pattern=each.pattern) for each in found]


def _before(known: list[ReportedEpisode], episode: Episode) -> list[ReportedEpisode]:
    return [
        each for each in known if each.started_at <= episode.started_at and each.id != episode.id
    ][:MOST_EARLIER]
