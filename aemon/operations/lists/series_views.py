"""The scores of a monitor over time, for pictures: as one series, or as a lane for each entity."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from aemon.errors import QueryError
from aemon.operations.installation import Installation
from aemon.store.lists.score_series import (
    FlaggedPoint,
    Stretch,
    end_of_scores,
    flagged_points,
    lane_cells,
    score_buckets,
)

MOST_POINTS = 4000  # of a series; a screen has fewer columns of pixels
MOST_FLAGGED = 4000  # flagged records of a series that are returned one by one
MOST_LANES = 200  # entities
MOST_CELLS = 500  # buckets of a lane
USUAL_LENGTH = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesWanted:
    """A request for a series.

    Attributes:
        monitor: name of the monitor.
        since: only records from this event time on; None for a day before `until`.
        until: only records before this event time; None for all records up to the newest record.
        entity: only records of this entity; None for all entities together.
        points: largest number of points; each time bucket has two points, the smallest and the
            largest score.
        columns: columns whose values are returned with the flagged records.
    """

    monitor: str
    since: datetime | None = None
    until: datetime | None = None
    entity: str | None = None
    points: int = 1000
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreSeries:
    """The scores of a monitor over time, in buckets; the lists have one value for each bucket.

    Attributes:
        since: begin of the series.
        until: end of the series; a record at this time is not part of the series.
        bucket_seconds: length of a bucket.
        times: Unix time, in seconds, of the first record in the bucket.
        records: number of records in the bucket.
        flagged: number of flagged records in the bucket.
        suppressed: number of suppressed records in the bucket.
        score_min: smallest score; None if no record has a score.
        threshold_min: smallest threshold that the records were judged with.
        exceedance_max: largest exceedance, which is the score divided by the threshold.
        points: the flagged and suppressed records, in the order of their times.
        points_left_out: number of flagged and suppressed records that are not among `points`,
            because a picture cannot show more records. Records with the largest exceedances are
            among `points`.
    """

    monitor: str
    entity: str | None
    since: datetime
    until: datetime
    bucket_seconds: float
    times: tuple[float, ...]
    records: tuple[int, ...]
    flagged: tuple[int, ...]
    suppressed: tuple[int, ...]
    score_min: tuple[float | None, ...]
    score_max: tuple[float | None, ...]
    threshold_min: tuple[float | None, ...]
    threshold_max: tuple[float | None, ...]
    exceedance_max: tuple[float | None, ...]
    points: tuple[FlaggedPoint, ...]
    points_left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """The records of one entity over time; the lists have one value for each bucket with records.

    Attributes:
        buckets: numbers of the buckets, from 0 on.
        records: number of records in the bucket.
        flagged: number of flagged records in the bucket.
        exceedance_max: largest exceedance of the records; None if no record has a score.
    """

    entity: str
    buckets: tuple[int, ...]
    records: tuple[int, ...]
    flagged: tuple[int, ...]
    exceedance_max: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """The lanes of a monitor's entities over time; the largest exceedance comes first."""

    monitor: str
    since: datetime
    until: datetime
    bucket_seconds: float
    lanes: tuple[Lane, ...]


def score_series(installation: Installation, wanted: SeriesWanted) -> ScoreSeries:
    """Return the scores of a monitor over time, with the flagged and suppressed records.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the series ends before it begins.
        NoResultsError: there are no results yet.
    """
    stretch = _stretch(installation, wanted)
    store = installation.store
    buckets = max(1, wanted.points // 2)
    found = score_buckets(store, stretch, buckets)
    points = flagged_points(store, stretch, wanted.columns, MOST_FLAGGED)
    total = sum(one.flagged + one.suppressed for one in found)
    return ScoreSeries(
        monitor=wanted.monitor,
        entity=wanted.entity,
        since=stretch.since,
        until=stretch.until,
        bucket_seconds=(stretch.until - stretch.since).total_seconds() / buckets,
        times=tuple(one.time.timestamp() for one in found),
        records=tuple(one.records for one in found),
        flagged=tuple(one.flagged for one in found),
        suppressed=tuple(one.suppressed for one in found),
        score_min=tuple(one.score_min for one in found),
        score_max=tuple(one.score_max for one in found),
        threshold_min=tuple(one.threshold_min for one in found),
        threshold_max=tuple(one.threshold_max for one in found),
        exceedance_max=tuple(one.exceedance_max for one in found),
        points=tuple(sorted(points, key=lambda one: (one.time, one.entity, one.record_key))),
        points_left_out=max(0, total - len(points)),
    )


def score_lanes(installation: Installation, wanted: SeriesWanted, most: int = 50) -> Lanes:
    """Return the records of the entities of a monitor over time.

    Args:
        installation: the installation.
        wanted: the request; `points` is the number of buckets, at most `MOST_CELLS`.
        most: largest number of entities; entities with the largest exceedances are chosen.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the lanes end before they begin.
        NoResultsError: there are no results yet.
    """
    stretch = _stretch(installation, wanted)
    buckets = min(wanted.points, MOST_CELLS)
    cells = lane_cells(installation.store, stretch, buckets, most)
    lanes = [
        Lane(
            entity=entity,
            buckets=tuple(one.bucket for one in own),
            records=tuple(one.records for one in own),
            flagged=tuple(one.flagged for one in own),
            exceedance_max=tuple(one.exceedance_max for one in own),
        )
        for entity, own in (
            (entity, list(group)) for entity, group in groupby(cells, key=lambda one: one.entity)
        )
    ]
    return Lanes(
        monitor=wanted.monitor,
        since=stretch.since,
        until=stretch.until,
        bucket_seconds=(stretch.until - stretch.since).total_seconds() / buckets,
        lanes=tuple(sorted(lanes, key=lambda lane: -max((x or 0) for x in lane.exceedance_max))),
    )


def _stretch(installation: Installation, wanted: SeriesWanted) -> Stretch:
    installation.monitors(wanted.monitor)
    until = wanted.until
    if until is None:
        until = end_of_scores(installation.store, wanted.monitor, installation.clock())
    since = until - USUAL_LENGTH if wanted.since is None else wanted.since
    if since >= until:
        raise QueryError(
            f"the series begins at {since.isoformat()} and ends at {until.isoformat()}",
            todo="give an end after the begin",
        )
    return Stretch(monitor=wanted.monitor, since=since, until=until, entity=wanted.entity)
