"""The contents of a report: one monitor in one period, from the results database alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aemon import __version__
from aemon.errors import QueryError
from aemon.operations.episode_handling import EpisodeDetails, show_episode
from aemon.operations.installation import Installation
from aemon.operations.lists.episode_pages import EpisodeChoice, episode_page
from aemon.operations.lists.ledger_pages import Happened, feedback_page
from aemon.operations.lists.series_views import (
    Lanes,
    ScoreSeries,
    SeriesWanted,
    score_lanes,
    score_series,
)
from aemon.records import EpisodeState, promise_is_broken
from aemon.store.lists.numbered_rows import FeedbackRow
from aemon.store.lists.period_counts import (
    DriftRow,
    JudgingDetector,
    VerdictCount,
    drift_rows,
    judging_detectors,
    rejected_counts,
    run_counts,
    scored_between,
    verdict_counts,
)
from aemon.store.lists.score_series import Stretch, end_of_scores, first_time

if TYPE_CHECKING:
    from aemon.store.episode_queries import EpisodeSummary

USUAL_PERIOD = timedelta(days=7)
MOST_EPISODES = 50
"""Largest number of episodes that a report shows one by one: those with the highest peaks."""
MOST_RECORDS = 200  # flagged records of an episode that its picture shows
MOST_FEEDBACK = 100
POINTS = 1200  # of the picture of scores
LANES, CELLS = 30, 96  # entities and buckets of the picture of entities


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """The target rate of a period, and the rate that was realised.

    Attributes:
        target: share of normal records that may be flagged; None if no record was judged.
        judged: number of records with a score.
        flagged: number of flagged records, among them those of real faults.
    """

    target: float | None
    judged: int
    flagged: int

    @property
    def expected(self) -> float:
        """Number of false alarms that the target rate allows."""
        return (self.target or 0.0) * self.judged

    @property
    def realised(self) -> float | None:
        """Share of judged records that were flagged; None if no record was judged."""
        return self.flagged / self.judged if self.judged else None

    @property
    def summary(self) -> str:
        """Whether the promise was kept, in one sentence."""
        if self.target is None or not self.judged:
            return "No record was judged in this period."
        found = f"{self.flagged} of {self.judged} records were flagged"
        allowed = f"the target rate allows about {self.expected:.3g} false alarms"
        if promise_is_broken(self.flagged, self.judged, self.target):
            return (
                f"Not kept: {found}, and {allowed}. This share shows a wrong detector "
                "rather than faults; `aemon doctor` shows why."
            )
        if self.flagged <= max(2 * self.expected, self.expected + 3 * self.expected**0.5):
            return f"Kept: {found}; {allowed}."
        return (
            f"{found}; {allowed}. More records were flagged than chance explains: see the episodes."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a monitor watched in a period, and what it found.

    Attributes:
        monitor: name of the monitor.
        source: kind of its source.
        since: begin of the period, an event time.
        until: end of the period.
        made_at: when the report was made.
        verdicts: number of records by verdict.
        promise: target rate and realised rate.
        detectors: the detectors that judged records.
        episodes: episodes with their flagged records, the highest peak first.
        episodes_left_out: number of episodes that are not shown one by one.
        feedback: feedback that people gave in the period, newest first.
        drifts: changes of normal data that were open.
        runs: (job, outcome, number of runs).
        rejected: (reason, number of rejected records).
        series: scores over time.
        lanes: scores of the entities over time.
    """

    monitor: str
    source: str
    since: datetime
    until: datetime
    made_at: datetime
    version: str = __version__
    verdicts: tuple[VerdictCount, ...]
    promise: Promise
    detectors: tuple[JudgingDetector, ...]
    episodes: tuple[EpisodeDetails, ...]
    episodes_left_out: int
    feedback: tuple[FeedbackRow, ...]
    drifts: tuple[DriftRow, ...]
    runs: tuple[tuple[str, str, int], ...]
    rejected: tuple[tuple[str, int], ...]
    series: ScoreSeries
    lanes: Lanes

    @property
    def records(self) -> int:
        """Number of records of the period."""
        return sum(one.records for one in self.verdicts)

    @property
    def late(self) -> int:
        """Number of records that were older than a record read before."""
        return sum(one.late for one in self.verdicts)

    @property
    def imputed_share(self) -> float | None:
        """Mean share of missing cells; None if there are no records."""
        if not self.records:
            return None
        return sum(one.imputed_share * one.records for one in self.verdicts) / self.records


def make_report(
    installation: Installation,
    monitor: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Report:
    """Return the report of a monitor over a period.

    Args:
        installation: the installation.
        monitor: name of the monitor.
        since: begin of the period, aware; by default `USUAL_PERIOD` before its end, or at the first
            record after this time.
        until: end of the period, aware; by default after the newest record.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the period ends before it begins.
        NoResultsError: there are no results yet.
    """
    if since is not None and until is not None and since >= until:
        raise QueryError(
            f"the period begins at {since.isoformat()} and ends at {until.isoformat()}",
            todo="give an end after the beginning",
        )
    installation.monitors(monitor)
    wanted = _wanted(installation, monitor, since, until)
    series = score_series(installation, wanted)
    period = Stretch(monitor=monitor, since=series.since, until=series.until)
    store = installation.store
    scored = scored_between(store, period)
    episodes, left_out = _episodes(installation, period)
    verdicts = verdict_counts(store, period)
    detectors = judging_detectors(store, period)
    happened = Happened(monitor=monitor, since=period.since, until=period.until)
    return Report(
        monitor=monitor,
        source=installation.config.monitors[monitor].source.kind,
        since=period.since,
        until=period.until,
        made_at=installation.clock(),
        verdicts=tuple(verdicts),
        promise=_promise(detectors),
        detectors=tuple(detectors),
        episodes=episodes,
        episodes_left_out=left_out,
        feedback=feedback_page(installation, happened, limit=MOST_FEEDBACK).items,
        drifts=tuple(drift_rows(store, period)),
        runs=tuple(run_counts(store, period, scored)),
        rejected=tuple(rejected_counts(store, period, scored)),
        series=series,
        lanes=score_lanes(
            installation,
            SeriesWanted(monitor=monitor, since=period.since, until=period.until, points=CELLS),
            LANES,
        ),
    )


def _wanted(
    installation: Installation, monitor: str, since: datetime | None, until: datetime | None
) -> SeriesWanted:
    """Return the request for the scores of the period, which also finds the end of the period."""
    if since is not None:
        return SeriesWanted(monitor=monitor, since=since, until=until, points=POINTS)
    store = installation.store
    until = until or end_of_scores(store, monitor, installation.clock())
    week = Stretch(monitor=monitor, since=until - USUAL_PERIOD, until=until)
    first = first_time(store, week) or week.since
    begin = min(first, until - timedelta(seconds=1))
    return SeriesWanted(monitor=monitor, since=begin, until=until, points=POINTS)


def _promise(detectors: Sequence[JudgingDetector]) -> Promise:
    """Return the target rate, weighted by the records that each detector judged."""
    judged = sum(one.judged for one in detectors)
    flagged = sum(one.flagged for one in detectors)
    allowed = sum(one.rate * one.judged for one in detectors)
    return Promise(target=allowed / judged if judged else None, judged=judged, flagged=flagged)


def _episodes(
    installation: Installation, period: Stretch
) -> tuple[tuple[EpisodeDetails, ...], int]:
    """Return the episodes with the highest peaks, and the number of the other episodes."""
    choice = EpisodeChoice(monitor=period.monitor, since=period.since, until=period.until)
    found: list[EpisodeSummary] = []
    cursor = None
    while True:
        page = episode_page(installation, choice, cursor=cursor, limit=1000)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    found.sort(key=lambda one: (one.state == EpisodeState.CLOSED, -one.peak_exceedance))
    shown = tuple(show_episode(installation, one.id, MOST_RECORDS) for one in found[:MOST_EPISODES])
    return shown, len(found) - len(shown)
