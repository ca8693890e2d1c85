"""Queries on the store for the command line, the status page and training."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import DetectorState, Job, Verdict, promise_is_broken
from aemon.store.detectors import StoredDetector, find_judging
from aemon.store.drifts import open_reasons, unusual_traffic
from aemon.store.episodes import total_open
from aemon.store.keysets import is_before
from aemon.store.ledger import LastRun, last_run
from aemon.store.lists.narrowing import of_monitors
from aemon.store.schema.tables import (
    anomalies,
    contributions,
    detectors,
    monitors,
    runs,
    scores,
    thresholds,
    watermarks,
)
from aemon.store.store import KEYS_AT_ONCE, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class BlamedColumn:
    """The contribution of one column to an anomaly, with its values as text in original units."""

    rank: int
    column: str
    observed: str | None
    expected: str | None
    error: float
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FlaggedRecord:
    """A flagged or suppressed record, with its explanation and the detector that judged it."""

    monitor: str
    entity: str
    record_key: str
    event_time: datetime
    scored_at: datetime
    severity: str
    score: float
    exceedance: float
    raw_score: float | None = None
    p_value: float
    reason: str
    detector_version: int
    threshold: float
    observed: dict[str, Any]
    reconstructed: dict[str, Any]
    columns: tuple[BlamedColumn, ...]
    quiet: str | None = None  # why the record was suppressed; None if the record is an anomaly
    episode_id: int | None = None  # the episode of the record; None without an episode


IS_CURRENT = (
    *(
        anomalies.c[name] == scores.c[name]
        for name in ("monitor", "record_key", "entity", "revision", "event_time")
    ),
    scores.c.superseded_at.is_(None),
)
"""Conditions that join an anomaly with its score, if the score is the newest revision."""

FLAGGED_KEY = tuple(anomalies.c[name] for name in ("event_time", "record_key", "monitor", "entity"))
"""The columns that order the list of flagged records."""

_CONDITIONS: dict[str, Callable[[Any], sa.ColumnElement[bool]]] = {
    "monitors": lambda names: of_monitors(anomalies.c.monitor, names),
    "episode": lambda number: anomalies.c.episode_id == number,
    "since": lambda time: anomalies.c.event_time >= time,
    "until": lambda time: anomalies.c.event_time < time,
    "after": lambda key: is_before(FLAGGED_KEY, key),
}
"""Key of `Fitting` -> condition in SQL. Any other key is a column that must have the value."""


class Fitting(TypedDict, total=False):
    """Conditions on flagged records; a condition that is absent or None excludes no record.

    `after` is the key (`FLAGGED_KEY`) of a record: only records after this record in the list.
    """

    monitor: str | None
    monitors: Collection[str] | None
    entity: str | None
    record_key: str | None
    episode: int | None
    since: datetime | None
    until: datetime | None
    after: Sequence[Any] | None


def flagged_records(
    store: Store, *, limit: int = 100, suppressed: bool = False, **fitting: Unpack[Fitting]
) -> list[FlaggedRecord]:
    """Return at most `limit` flagged records that meet the conditions, newest first.

    With `suppressed`, return suppressed records instead of flagged records.

    Raises:
        StoreError: the database fails.
    """
    verdict = Verdict.SUPPRESSED if suppressed else Verdict.ANOMALY
    query = (
        sa.select(
            anomalies,
            scores.c.scored_at,
            scores.c.score,
            scores.c.raw_score,
            scores.c.exceedance,
            scores.c.p_value,
            detectors.c.version.label("detector_version"),
            thresholds.c.value.label("threshold"),
        )
        .join(scores, sa.and_(*IS_CURRENT, scores.c.verdict == verdict))
        .join(detectors, detectors.c.id == scores.c.detector_id)
        .join(thresholds, thresholds.c.id == scores.c.threshold_id)
        .order_by(*(column.desc() for column in FLAGGED_KEY))
        .limit(limit)
    )
    for name, value in fitting.items():
        if value is not None:
            own = _CONDITIONS.get(name)
            query = query.where(own(value) if own else anomalies.c[name] == value)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
        blamed = _blamed_columns(connection, rows)
    needed = [name for name in FlaggedRecord.__slots__ if name != "columns"]
    return [
        FlaggedRecord(
            **{name: row[name] for name in needed}, columns=tuple(blamed.get(_identity(row), ()))
        )
        for row in rows
    ]


def _identity(row: Any) -> tuple[str, str, str, int]:
    return row["monitor"], row["entity"], row["record_key"], row["revision"]


def _blamed_columns(
    connection: sa.Connection, rows: Sequence[Any]
) -> dict[tuple[str, str, str, int], list[BlamedColumn]]:
    blamed: dict[tuple[str, str, str, int], list[BlamedColumn]] = {}
    for monitor in {row["monitor"] for row in rows}:
        keys = [row["record_key"] for row in rows if row["monitor"] == monitor]
        for start in range(0, len(keys), KEYS_AT_ONCE):
            query = (
                sa.select(contributions)
                .where(contributions.c.monitor == monitor)
                .where(contributions.c.record_key.in_(keys[start : start + KEYS_AT_ONCE]))
                .order_by(contributions.c.rank)
            )
            for row in connection.execute(query).mappings():
                blamed.setdefault(_identity(row), []).append(
                    BlamedColumn(
                        rank=row["rank"],
                        column=row["feature"],
                        observed=row["observed_text"],
                        expected=row["reconstructed_text"],
                        error=row["error"],
                        share=row["share"],
                    )
                )
    return blamed


@dataclass(frozen=True, kw_only=True, slots=True)
class Flagged:
    """The number of records that a detector judged, and the number that the detector flagged."""

    judged: int = 0
    flagged: int = 0

    @property
    def share(self) -> float | None:
        """The share of judged records that were flagged, rightly or not; None without records."""
        return self.flagged / self.judged if self.judged else None


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorOverview:
    """The state of a monitor."""

    name: str
    detector_version: int | None
    trained_at: datetime | None
    first_trained_at: datetime | None
    training_records: int | None
    threshold: float | None
    false_alarm_rate: float | None
    calibration_records: int | None  # number of records that the threshold was computed from
    on_trial: int | None  # version of the detector on trial
    drifts: tuple[str, ...]  # one sentence for each open drift
    traffic: tuple[str, ...] = ()  # one sentence for each unusual finding about record arrival
    episodes_open: int  # episodes that are notified and not closed
    realised: Flagged  # counts of the active detector since it became active
    read_until: datetime | None  # event time of the watermark
    records_scored: int  # since the time `since` of `overview`
    anomalies: int  # since the time `since` of `overview`
    last_score: LastRun | None
    last_train: LastRun | None

    @property
    def breaks_promise(self) -> bool:
        """Whether the realised rate is so high that the detector must be wrong."""
        rate = self.false_alarm_rate
        return rate is not None and promise_is_broken(
            self.realised.flagged, self.realised.judged, rate
        )


def overview(store: Store, names: Iterable[str], since: datetime) -> list[MonitorOverview]:
    """Return the state of each known monitor, in the given order; count records since `since`."""
    with store.reading() as connection:
        known = set(connection.execute(sa.select(monitors.c.name)).scalars())
        return [_overview(connection, name, since) for name in names if name in known]


def _overview(connection: sa.Connection, name: str, since: datetime) -> MonitorOverview:
    judging = find_judging(connection, name)
    detector = judging.get(DetectorState.ACTIVE)
    on_trial = judging.get(DetectorState.SHADOW)
    scored = connection.execute(
        sa.select(sa.func.sum(runs.c.records_scored)).where(
            runs.c.monitor == name, runs.c.job == Job.SCORE, runs.c.started_at >= since
        )
    ).scalar_one()
    first_trained_at = connection.execute(
        sa.select(sa.func.min(detectors.c.trained_at)).where(detectors.c.monitor == name)
    ).scalar()
    read_until = connection.execute(
        sa.select(watermarks.c.event_time).where(watermarks.c.monitor == name)
    ).scalar()
    return MonitorOverview(
        name=name,
        detector_version=detector.version if detector else None,
        trained_at=detector.trained_at if detector else None,
        first_trained_at=first_trained_at,
        training_records=detector.training_records if detector else None,
        threshold=detector.threshold if detector else None,
        false_alarm_rate=detector.false_alarm_rate if detector else None,
        calibration_records=detector.calibration_records if detector else None,
        on_trial=on_trial.version if on_trial else None,
        drifts=open_reasons(connection, name),
        traffic=unusual_traffic(connection, name),
        episodes_open=total_open(connection, [name]),
        realised=_realised(connection, detector) if detector else Flagged(),
        read_until=read_until,
        records_scored=scored or 0,
        anomalies=_flagged(connection, name, scores.c.scored_at >= since),
        last_score=last_run(connection, name, Job.SCORE),
        last_train=last_run(connection, name, Job.TRAIN),
    )


def realised(store: Store, detector: StoredDetector) -> Flagged:
    """Return the numbers of records that the active detector has judged and flagged so far."""
    with store.reading() as connection:
        return _realised(connection, detector)


def _realised(connection: sa.Connection, detector: StoredDetector) -> Flagged:
    # Count judged records in the ledger, which has one row for every run, not in `scores`.
    judged = connection.execute(
        sa.select(
            sa.func.sum(
                runs.c.records_scored
                + runs.c.records_revised
                - runs.c.records_absent
                - runs.c.records_idle
            )
        ).where(
            runs.c.monitor == detector.monitor,
            runs.c.job == Job.SCORE,
            runs.c.started_at >= detector.state_at,  # an earlier detector judged before this time
        )
    ).scalar_one()
    own = scores.c.detector_id == detector.id, scores.c.scored_at >= detector.state_at
    return Flagged(judged=judged or 0, flagged=_flagged(connection, detector.monitor, *own))


def _flagged(connection: sa.Connection, monitor: str, *conditions: sa.ColumnElement[bool]) -> int:
    """Return how many records are flagged now; do not count hindsight verdicts.

    The ledger does not have this number: it counts newly flagged records, but not records that are
    judged again and stay flagged.
    """
    query = (
        sa.select(sa.func.count())
        .select_from(anomalies)
        .join(scores, sa.and_(*IS_CURRENT, scores.c.verdict == Verdict.ANOMALY))
        .join(runs, runs.c.id == scores.c.run_id)
        .where(anomalies.c.monitor == monitor, runs.c.job == Job.SCORE, *conditions)
    )
    return connection.execute(query).scalar_one()
