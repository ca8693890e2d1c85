"""Queries on the store for the command line, the status page and training."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from aemon.records import DetectorState, Job, Verdict, promise_is_broken
from aemon.store.detectors import StoredDetector
from aemon.store.keysets import is_before
from aemon.store.ledger import LastRun
from aemon.store.lists.ledger_sums import JUDGED, LedgerSums
from aemon.store.lists.monitor_facts import Facts, read_facts
from aemon.store.lists.narrowing import of_monitors
from aemon.store.schema.not_looked_up import NotLookedUp
from aemon.store.schema.tables import (
    anomalies,
    contributions,
    detectors,
    monitors,
    runs,
    scores,
    thresholds,
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
        NotLookedUp(anomalies.c[name]) == scores.c[name]
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


def overview(
    store: Store, names: Iterable[str], since: datetime, sums: LedgerSums | None = None
) -> list[MonitorOverview]:
    """Return the state of each known monitor, in the given order; count records since `since`.

    With `sums`, which a daemon keeps, only the newest part of the ledger is read.
    """
    with store.reading() as connection:
        known = set(connection.execute(sa.select(monitors.c.name)).scalars())
        chosen = [name for name in names if name in known]
        facts = read_facts(connection, chosen, since, store.now(), sums)
    return [_overview(name, facts) for name in chosen]


def _overview(name: str, facts: Facts) -> MonitorOverview:
    judging = facts.judging.get(name, {})
    detector = judging.get(DetectorState.ACTIVE)
    on_trial = judging.get(DetectorState.SHADOW)
    lately, by_active = facts.flagged.get(name, (0, 0))
    return MonitorOverview(
        name=name,
        detector_version=detector.version if detector else None,
        trained_at=detector.trained_at if detector else None,
        first_trained_at=facts.first_trained.get(name),
        training_records=detector.training_records if detector else None,
        threshold=detector.threshold if detector else None,
        false_alarm_rate=detector.false_alarm_rate if detector else None,
        calibration_records=detector.calibration_records if detector else None,
        on_trial=on_trial.version if on_trial else None,
        drifts=facts.drifts.get(name, ()),
        traffic=facts.traffic.get(name, ()),
        episodes_open=facts.episodes_open.get(name, 0),
        realised=Flagged(judged=int(facts.judged.get(name) or 0), flagged=by_active)
        if detector
        else Flagged(),
        read_until=facts.read_until.get(name),
        records_scored=int(facts.scored.get(name) or 0),
        anomalies=lately,
        last_score=facts.last.get((name, Job.SCORE)),
        last_train=facts.last.get((name, Job.TRAIN)),
    )


def realised(store: Store, detector: StoredDetector) -> Flagged:
    """Return the numbers of records that the active detector has judged and flagged so far."""
    own = scores.c.detector_id == detector.id, scores.c.scored_at >= detector.state_at
    flagged = (
        sa.select(sa.func.count())
        .select_from(anomalies)
        .join(scores, sa.and_(*IS_CURRENT, scores.c.verdict == Verdict.ANOMALY, *own))
        .join(runs, sa.and_(runs.c.id == scores.c.run_id, runs.c.job == Job.SCORE))
        .where(anomalies.c.monitor == detector.monitor)
    )
    judged = sa.select(sa.func.sum(JUDGED)).where(
        runs.c.monitor == detector.monitor,
        runs.c.job == Job.SCORE,
        runs.c.started_at >= detector.state_at,  # an earlier detector judged before this time
    )
    with store.reading() as connection:
        return Flagged(
            judged=connection.execute(judged).scalar_one() or 0,
            flagged=connection.execute(flagged).scalar_one(),
        )
