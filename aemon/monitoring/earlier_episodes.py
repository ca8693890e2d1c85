"""The episodes that people were told of before, read once for all that one commit changes."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from aemon.detection.similar_episodes import Earlier
from aemon.records import Episode
from aemon.store.episodes import ReportedEpisode, reported_before

MOST_EARLIER = 300  # episodes that a new one is held against: 20 ms, with 50 columns


@dataclass(eq=False)
class EarlierEpisodes:
    """Those that began before others, newest first.

    Attributes:
        connection: of the commit, in which the changed episodes are written already.
        monitor: whose.
        newest: when the newest of the changed ones began.
    """

    connection: sa.Connection
    monitor: str
    newest: datetime
    _known: list[ReportedEpisode] | None = field(default=None, init=False)

    def before(self, episode: Episode) -> list[Earlier]:
        """Return the newest that began no later than an episode, itself left out.

        Raises:
            StoreError: the database fails.
        """
        most = 2 * MOST_EARLIER
        if self._known is None:
            self._known = reported_before(self.connection, self.monitor, self.newest, most)
        found = _before(self._known, episode)
        if len(found) < MOST_EARLIER and len(self._known) == most:  # it began long ago
            until = episode.started_at
            found = _before(
                reported_before(self.connection, self.monitor, until, MOST_EARLIER + 1), episode
            )
        return [Earlier(id=one.id, label=one.label, pattern=one.pattern) for one in found]


def _before(known: list[ReportedEpisode], episode: Episode) -> list[ReportedEpisode]:
    found = [one for one in known if one.started_at <= episode.started_at and one.id != episode.id]
    return found[:MOST_EARLIER]
