"""Counts of one monitor over a period, for its report."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aemon.records import Verdict
from aemon.store.lists.score_series import Stretch, count_where
from aemon.store.schema.tables import (
    detectors,
    drifts,
    rejected_records,
    runs,
    scores,
    thresholds,
)
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictCount:
    """The records with one verdict.

    Attributes:
        verdict: the verdict.
        records: number of records.
        late: number of these records that were older than a record read before.
        imputed_share: mean share of missing cells.
    """

    verdict: str
    records: int
    late: int
    imputed_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgingDetector:
    """A detector that judged records of the period.

    Attributes:
        version: version of the detector.
        trained_at: end of its training.
        training_records: number of its training records.
        asked_by: what requested its training, and the reason.
        rate: largest target rate of the thresholds it judged with.
        judged: number of records with a score.
        flagged: number of flagged records.
    """

    version: int
    trained_at: datetime
    training_records: int
    asked_by: str
    rate: float
    judged: int
    flagged: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftRow:
    """A change of normal data that was open in the period."""

    kind: str
    feature: str
    entity: str
    state: str
    started_at: datetime
    detected_at: datetime
    ended_at: datetime | None
    reason: str


def verdict_counts(store: Store, stretch: Stretch) -> list[VerdictCount]:
    """Return the number of records by verdict, the most frequent verdict first.

    Raises:
        StoreError: the database fails.
    """
    count = sa.func.count().label("records")
    query = (
        sa.select(
            scores.c.verdict,
            count,
            count_where(scores.c.late).label("late"),
            sa.func.avg(scores.c.imputed_share).label("imputed_share"),
        )
        .where(*stretch.conditions())
        .group_by(scores.c.verdict)
        .order_by(count.desc(), scores.c.verdict)
    )
    with store.reading() as connection:
        return [VerdictCount(**row) for row in connection.execute(query).mappings()]


def judging_detectors(store: Store, stretch: Stretch) -> list[JudgingDetector]:
    """Return the detectors that judged records of the period, in the order of their versions.

    Raises:
        StoreError: the database fails.
    """
    judged = (
        sa.select(
            scores.c.detector_id,
            sa.func.max(thresholds.c.false_alarm_rate).label("rate"),
            sa.func.count(scores.c.score).label("judged"),
            count_where(scores.c.verdict == Verdict.ANOMALY.value).label("flagged"),
        )
        .join(thresholds, thresholds.c.id == scores.c.threshold_id)
        .where(*stretch.conditions(), scores.c.score.is_not(None))
        .group_by(scores.c.detector_id)
        .subquery()
    )
    own = detectors.c
    query = (
        sa.select(
            own.version, own.trained_at, own.training_records, own.asked_by,
            judged.c.rate, judged.c.judged, judged.c.flagged,
        )
        .join(judged, judged.c.detector_id == own.id)
        .order_by(own.version)
    )  # fmt: skip
    with store.reading() as connection:
        return [JudgingDetector(**row) for row in connection.execute(query).mappings()]


def scored_between(store: Store, stretch: Stretch) -> tuple[datetime, datetime] | None:
    """Return the first and the last time at which records of the period were judged; None for none.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.min(scores.c.scored_at), sa.func.max(scores.c.scored_at)).where(
        *stretch.conditions()
    )
    with store.reading() as connection:
        first, last = connection.execute(query).one()
    return None if first is None else (first, last)


def run_counts(
    store: Store, stretch: Stretch, scored: tuple[datetime, datetime] | None
) -> list[tuple[str, str, int]]:
    """Return job, outcome and number of the runs of the period.

    Args:
        store: the store.
        stretch: the monitor and its period.
        scored: first and last time at which records of the period were judged. Runs within this
            time count, too: a history may be judged long after its event times.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(runs.c.job, runs.c.outcome, sa.func.count())
        .where(
            runs.c.monitor == stretch.monitor,
            _in_period(runs.c.started_at, runs.c.finished_at, stretch, scored),
        )
        .group_by(runs.c.job, runs.c.outcome)
        .order_by(runs.c.job, runs.c.outcome)
    )
    with store.reading() as connection:
        return [(job, outcome, count) for job, outcome, count in connection.execute(query)]


def _in_period(
    began: sa.ColumnElement[datetime],
    ended: sa.ColumnElement[datetime],
    stretch: Stretch,
    scored: tuple[datetime, datetime] | None,
) -> sa.ColumnElement[bool]:
    """Return the condition for what began in the period, or while its records were judged."""
    own = sa.and_(began >= stretch.since, began < stretch.until)
    if scored is None:
        return own
    first, last = scored
    return sa.or_(own, sa.and_(began <= last, ended >= first))


def rejected_counts(
    store: Store, stretch: Stretch, scored: tuple[datetime, datetime] | None
) -> list[tuple[str, int]]:
    """Return the reasons for which stored records were rejected in the period, with their number.

    The arguments are described in `run_counts`.

    Raises:
        StoreError: the database fails.
    """
    own, count = rejected_records.c, sa.func.count()
    query = (
        sa.select(own.reason, count)
        .where(
            own.monitor == stretch.monitor,
            _in_period(own.received_at, own.received_at, stretch, scored),
        )
        .group_by(own.reason)
        .order_by(count.desc(), own.reason)
    )
    with store.reading() as connection:
        return [(reason, number) for reason, number in connection.execute(query)]


def drift_rows(store: Store, stretch: Stretch) -> list[DriftRow]:
    """Return the changes of normal data that were open in the period, oldest first.

    Raises:
        StoreError: the database fails.
    """
    own = drifts.c
    query = (
        sa.select(*(own[name] for name in DriftRow.__slots__))
        .where(
            own.monitor == stretch.monitor,
            own.started_at < stretch.until,
            sa.or_(own.ended_at.is_(None), own.ended_at >= stretch.since),
        )
        .order_by(own.started_at, own.id)
    )
    with store.reading() as connection:
        return [DriftRow(**row) for row in connection.execute(query).mappings()]
