"""The scores of a monitor over time, in buckets with their smallest and largest values.

The database forms the buckets, so that a year of scores needs no more memory than a day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aemon.records import Verdict
from aemon.store.schema.not_looked_up import NotLookedUp
from aemon.store.schema.tables import anomalies, scores
from aemon.store.store import Store

DAY_SECONDS = 86_400
MOST_SHARE = 0.4
"""Share of the stored time from which a stretch is read in the order of the table.

SQLite finds each record of an index once more in the table. For a year of 525,600 records, reading
all rows of the monitor takes 0.58 s, and reading them by the index of the times 0.98 s.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A part of the scores of a monitor.

    Attributes:
        monitor: name of the monitor.
        since: only records from this event time on.
        until: only records before this event time.
        entity: only records of this entity; None for all entities together.
    """

    monitor: str
    since: datetime
    until: datetime
    entity: str | None = None

    def conditions(self, *, is_most: bool = False) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on table `scores` for the newest verdicts of the stretch.

        With `is_most`, SQLite reads all rows of the monitor in the order of the table.
        """
        time = NotLookedUp(scores.c.event_time) if is_most else scores.c.event_time
        own = [
            scores.c.monitor == self.monitor,
            time >= self.since,
            time < self.until,
            scores.c.superseded_at.is_(None),
        ]
        return own if self.entity is None else [*own, scores.c.entity == self.entity]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreBucket:
    """The records of one time bucket: their number, and their smallest and largest values.

    Attributes:
        time: event time of the first record in the bucket.
        records: number of records.
        flagged: number of flagged records.
        suppressed: number of suppressed records.
        threshold_min: smallest threshold that the records were judged with.
    """

    time: datetime
    records: int
    flagged: int
    suppressed: int
    score_min: float | None
    score_max: float | None
    threshold_min: float | None
    threshold_max: float | None
    exceedance_max: float | None


def score_buckets(store: Store, stretch: Stretch, buckets: int) -> list[ScoreBucket]:
    """Return the records of a stretch in at most `buckets` buckets of equal length, oldest first.

    Buckets without records are left out.

    Raises:
        StoreError: the database fails.
    """
    seconds = (stretch.until - stretch.since).total_seconds() / buckets
    own, conditions = scores.c, stretch.conditions(is_most=_is_most(store, stretch))
    # A record may have been judged with its entity's threshold, which is not in `thresholds`.
    threshold = sa.case((own.exceedance > 0, own.score / own.exceedance))
    number = bucket_number(store, stretch.since, seconds)
    query = (
        sa.select(
            sa.func.min(own.event_time).label("time"),
            sa.func.count().label("records"),
            count_where(own.verdict == Verdict.ANOMALY.value).label("flagged"),
            count_where(own.verdict == Verdict.SUPPRESSED.value).label("suppressed"),
            sa.func.min(own.score).label("score_min"),
            sa.func.max(own.score).label("score_max"),
            sa.func.min(threshold).label("threshold_min"),
            sa.func.max(threshold).label("threshold_max"),
            sa.func.max(own.exceedance).label("exceedance_max"),
        )
        .where(*conditions)
        .group_by(number)
        .order_by(number)
    )
    with store.reading() as connection:
        return [ScoreBucket(**row) for row in connection.execute(query).mappings()]


def _is_most(store: Store, stretch: Stretch) -> bool:
    """Return whether a stretch covers much of the stored time of its monitor."""
    of = scores.c.monitor == stretch.monitor
    with store.reading() as connection:
        oldest, newest = (
            connection.execute(sa.select(end(scores.c.event_time)).where(of)).scalar()
            for end in (sa.func.min, sa.func.max)
        )
    if oldest is None or newest is None or newest <= oldest:
        return False
    covered = min(stretch.until, newest) - max(stretch.since, oldest)
    return bool(covered / (newest - oldest) >= MOST_SHARE)


def bucket_number(store: Store, since: datetime, seconds: float) -> sa.ColumnElement[int]:
    """Return SQL for the number of a score's bucket; bucket 0 begins at `since`."""
    begin = sa.literal(since, scores.c.event_time.type)
    if store.engine.dialect.name == "sqlite":
        days = sa.func.julianday(scores.c.event_time) - sa.func.julianday(begin)
        # Half a millisecond is added, because a Julian day is exact to only 40 microseconds: a time
        # at the beginning of a bucket could get the number of the bucket before.
        return sa.cast((days * DAY_SECONDS + 0.0005) / seconds, sa.Integer)
    passed = sa.extract("epoch", scores.c.event_time) - sa.extract("epoch", begin)
    return sa.cast(sa.func.floor(passed / seconds), sa.Integer)


def count_where(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """Return the number of rows that meet a condition, as an expression of an aggregate query."""
    return sa.func.sum(sa.case((condition, 1), else_=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class FlaggedPoint:
    """A flagged or suppressed record of a series.

    Attributes:
        observed: column -> observed value, for the requested columns.
        expected: column -> expected value, for the requested columns.
    """

    time: datetime
    entity: str
    record_key: str
    verdict: str
    severity: str
    score: float
    exceedance: float
    episode: int | None
    observed: dict[str, Any]
    expected: dict[str, Any]


def flagged_points(
    store: Store, stretch: Stretch, columns: tuple[str, ...], limit: int
) -> list[FlaggedPoint]:
    """Return at most `limit` flagged and suppressed records, the largest exceedance first.

    Raises:
        StoreError: the database fails.
    """
    same = ("monitor", "record_key", "entity", "revision", "event_time")
    wanted = [anomalies.c.observed, anomalies.c.reconstructed.label("expected")] if columns else []
    query = (
        sa.select(
            scores.c.event_time.label("time"),
            *(scores.c[name] for name in ("entity", "record_key", "verdict")),
            anomalies.c.severity,
            scores.c.score,
            scores.c.exceedance,
            anomalies.c.episode_id.label("episode"),
            *wanted,
        )
        .join(scores, sa.and_(*(NotLookedUp(anomalies.c[n]) == scores.c[n] for n in same)))
        .where(
            anomalies.c.monitor == stretch.monitor,
            anomalies.c.event_time >= stretch.since,
            anomalies.c.event_time < stretch.until,
            scores.c.superseded_at.is_(None),
            *([] if stretch.entity is None else [anomalies.c.entity == stretch.entity]),
        )
        .order_by(scores.c.exceedance.desc(), scores.c.event_time)
        .limit(limit)
    )
    found: list[FlaggedPoint] = []
    with store.reading() as connection:
        for row in connection.execute(query).mappings():
            values = {"observed": {}, "expected": {}, **row}
            for kind in ("observed", "expected"):
                values[kind] = {name: values[kind].get(name) for name in columns}
            found.append(FlaggedPoint(**values))
    return found


def first_time(store: Store, stretch: Stretch) -> datetime | None:
    """Return the event time of the first record of a stretch; None without records.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.min(scores.c.event_time)).where(*stretch.conditions())
    with store.reading() as connection:
        time: datetime | None = connection.execute(query).scalar()
    return time


def end_of_scores(store: Store, monitor: str, now: datetime) -> datetime:
    """Return the time just after a monitor's newest judged record; without one, after `now`.

    Raises:
        StoreError: the database fails.
    """
    return (newest_time(store, monitor) or now) + timedelta(microseconds=1)


def newest_time(store: Store, monitor: str) -> datetime | None:
    """Return the event time of a monitor's newest judged record; None without judged records.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.max(scores.c.event_time)).where(scores.c.monitor == monitor)
    with store.reading() as connection:
        time: datetime | None = connection.execute(query).scalar()
    return time


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneCell:
    """The counts of one entity's records in one time bucket, and their largest exceedance."""

    entity: str
    bucket: int
    records: int
    flagged: int
    exceedance_max: float | None


def lane_cells(store: Store, stretch: Stretch, buckets: int, limit: int) -> list[LaneCell]:
    """Return the records of a stretch by entity and bucket, ordered by entity and bucket.

    Args:
        store: the store.
        stretch: the stretch.
        buckets: number of buckets of equal length in the stretch.
        limit: largest number of entities; entities with the largest exceedances are chosen.

    Raises:
        StoreError: the database fails.
    """
    seconds = (stretch.until - stretch.since).total_seconds() / buckets
    own, conditions = scores.c, stretch.conditions(is_most=_is_most(store, stretch))
    number = bucket_number(store, stretch.since, seconds)
    chosen = (
        sa.select(own.entity)
        .where(*conditions)
        .group_by(own.entity)
        .order_by(sa.func.max(sa.func.coalesce(own.exceedance, 0)).desc(), own.entity)
        .limit(limit)
    )
    query = (
        sa.select(
            own.entity,
            number.label("bucket"),
            sa.func.count().label("records"),
            count_where(own.verdict == Verdict.ANOMALY.value).label("flagged"),
            sa.func.max(own.exceedance).label("exceedance_max"),
        )
        .where(*conditions, own.entity.in_(chosen))
        .group_by(own.entity, number)
        .order_by(own.entity, number)
    )
    with store.reading() as connection:
        return [LaneCell(**row) for row in connection.execute(query).mappings()]
