"""The page of a monitor: its state, what its charts mark, episodes, runs and rejected records."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aemon.operations.detector_listing import ListedDetector
from aemon.operations.installation import Installation
from aemon.operations.lists.detector_pages import detector_page
from aemon.operations.lists.episode_pages import EpisodeChoice, episode_page
from aemon.operations.lists.ledger_pages import Happened, rejected_page, run_page, snooze_page
from aemon.operations.lists.monitor_pages import show_monitor
from aemon.operations.lists.series_views import SeriesWanted, score_lanes
from aemon.operations.status_report import StatusPage
from aemon.operations.views.overview_view import MonitorLine
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.inbox.rejected_records import RejectedRecord
from aemon.store.lists.ledger_rows import RunRow
from aemon.store.lists.score_series import newest_time
from aemon.store.page_queries.monitor_states import open_severities
from aemon.store.snoozes import StoredSnooze

MOST_EPISODES = 200  # that the chart shades
MOST_LISTED = 10  # episodes and runs in the tables
MOST_REJECTED = 5
MOST_COLUMNS = 6  # small charts
PIECES = 96  # of a lane
MOST_LANES = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorPage:
    """The contents of the page of a monitor.

    Attributes:
        line: the state, as on the overview.
        columns: the columns with the largest contributions to the episodes, largest first.
        episodes: the newest episodes.
        detectors: all detectors, the newest first.
        runs: the newest runs of the ledger.
        rejected: the newest rejected records.
        snoozes: the snoozes that have not ended.
    """

    line: MonitorLine
    columns: tuple[str, ...]
    episodes: tuple[EpisodeSummary, ...]
    detectors: tuple[ListedDetector, ...]
    runs: tuple[RunRow, ...]
    rejected: tuple[RejectedRecord, ...]
    snoozes: tuple[StoredSnooze, ...]

    @property
    def marks(self) -> dict[str, list[list[object]]]:
        """The episodes and detectors that charts mark, with times in Unix seconds."""
        return {
            "episodes": [
                [each.started_at.timestamp(), each.ended_at.timestamp(), each.severity, each.id]
                for each in self.episodes
            ],
            "detectors": [[each.trained_at.timestamp(), each.version] for each in self.detectors],
            "snoozes": [[each.since.timestamp(), each.until.timestamp()] for each in self.snoozes],
        }

    def end_of(self, span: timedelta, now: datetime) -> datetime:
        """Return the end of a picture of this length of time.

        The end is the present, or the newest record if this record is older than the span.
        """
        return _end_of(self.line.monitor.read_until, span, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class EntityLane:
    """The largest exceedances of an entity over time; None where it has no record."""

    entity: str
    values: Sequence[float | None]
    largest: float | None
    flagged: int


def monitor_page_of(installation: Installation, status: StatusPage, name: str) -> MonitorPage:
    """Return the contents of the page of a monitor.

    Raises:
        UnknownMonitorError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    known = {monitor.name: monitor for monitor in status.monitors}
    monitor = known.get(name) or show_monitor(installation, name)
    severity = open_severities(installation.store, [name]).get(name)
    episodes = episode_page(installation, EpisodeChoice(monitor=name), limit=MOST_EPISODES).items
    happened = Happened(monitor=name)
    return MonitorPage(
        line=MonitorLine.of(monitor, status, installation.config.monitors.get(name), severity),
        columns=_blamed(episodes),
        episodes=episodes,
        detectors=detector_page(installation, name, limit=1000).items[::-1],
        runs=run_page(installation, happened, limit=MOST_LISTED).items,
        rejected=rejected_page(installation, happened, limit=MOST_REJECTED).items,
        snoozes=snooze_page(installation, happened).items,
    )


def _end_of(newest: datetime | None, span: timedelta, now: datetime) -> datetime:
    """Return the end of a picture: the present, or the newest record if it is older than the span.

    So the pictures of a history that ended long ago are not empty.
    """
    return now if newest is None or newest > now - span else newest + timedelta(seconds=1)


def entity_lanes(installation: Installation, name: str, span: timedelta) -> tuple[EntityLane, ...]:
    """Return a lane for each entity, those with large exceedances first.

    Raises:
        UnknownMonitorError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    until = _end_of(newest_time(installation.store, name), span, installation.clock())
    wanted = SeriesWanted(monitor=name, since=until - span, until=until, points=PIECES)
    found = []
    for lane in score_lanes(installation, wanted, MOST_LANES).lanes:
        values: list[float | None] = [None] * PIECES
        for piece, exceedance in zip(lane.buckets, lane.exceedance_max, strict=True):
            if piece < PIECES:
                values[piece] = exceedance
        known = [value for value in values if value is not None]
        found.append(
            EntityLane(
                entity=lane.entity,
                values=values,
                largest=max(known, default=None),
                flagged=sum(lane.flagged),
            )
        )
    return tuple(found)


def _blamed(episodes: Sequence[EpisodeSummary]) -> tuple[str, ...]:
    """Return the columns with the largest sums of contributions."""
    total: Counter[str] = Counter()
    for episode in episodes:
        total.update(episode.blame)
    return tuple(column for column, _ in total.most_common(MOST_COLUMNS))
