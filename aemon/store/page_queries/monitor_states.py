"""The states of many monitors, by a few queries for all of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from aemon.records import DetectorState, EpisodeState, Job, Severity, Verdict
from aemon.store.drifts import OPEN
from aemon.store.episodes import NOT_CLOSED
from aemon.store.ledger import LastRun
from aemon.store.page_queries.name_lists import is_among
from aemon.store.queries import IS_CURRENT, Flagged, MonitorOverview
from aemon.store.schema.junk import rate_of
from aemon.store.schema.tables import (
    anomalies,
    detectors,
    drifts,
    episodes,
    live_states,
    monitors,
    runs,
    scores,
    thresholds,
    watermarks,
)
from aemon.store.store import Store

_JUDGED = (
    runs.c.records_scored + runs.c.records_revised - runs.c.records_absent - runs.c.records_idle
)
_RECENT_STATE = sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at)


class JudgingDetector(NamedTuple):
    """A detector that judges, as far as the state of its monitor shows it."""

    id: int
    version: int
    trained_at: datetime
    training_records: int
    calibration_records: int
    threshold: float
    false_alarm_rate: float


def overviews(store: Store, names: Sequence[str], since: datetime) -> list[MonitorOverview]:
    """Return the state of each known monitor, in the given order; count records since `since`.

    The result is that of `aemon.store.queries.overview`, by a fixed number of queries.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        return list(_overviews(connection, names, since))


def open_severities(store: Store, names: Sequence[str]) -> dict[str, Severity]:
    """Return monitor -> highest severity of its open episodes, for monitors that have any.

    An acknowledged episode counts: it is open until its records are calm.

    Raises:
        StoreError: the database fails.
    """
    found: dict[str, Severity] = {}
    with store.reading() as connection:
        query = (
            sa.select(episodes.c.monitor, episodes.c.severity)
            .distinct()
            .where(
                is_among(connection, episodes.c.monitor, names),
                episodes.c.state == EpisodeState.OPEN,
            )
        )
        for name, severity in connection.execute(query):
            critical = severity == Severity.CRITICAL
            if critical or name not in found:
                found[name] = Severity.CRITICAL if critical else Severity.WARNING
    return found


def _overviews(
    connection: sa.Connection, names: Sequence[str], since: datetime
) -> Iterator[MonitorOverview]:
    known = set(
        connection.execute(
            sa.select(monitors.c.name).where(is_among(connection, monitors.c.name, names))
        ).scalars()
    )
    judging = _judging(connection, names)
    counts = _Counts(connection, names, since)
    first_trained = _by_monitor(connection, names, detectors, sa.func.min(detectors.c.trained_at))
    read_until = _by_monitor(connection, names, watermarks, sa.func.max(watermarks.c.event_time))
    drifting, traffic = _drifting(connection, names), _traffic(connection, names)
    scored, trained = (_last_runs(connection, names, job) for job in (Job.SCORE, Job.TRAIN))
    for name in names:
        if name not in known:
            continue
        detector = judging.get(name, {}).get(DetectorState.ACTIVE)
        on_trial = judging.get(name, {}).get(DetectorState.SHADOW)
        yield MonitorOverview(
            name=name,
            detector_version=detector.version if detector else None,
            trained_at=detector.trained_at if detector else None,
            first_trained_at=first_trained.get(name),
            training_records=detector.training_records if detector else None,
            threshold=detector.threshold if detector else None,
            false_alarm_rate=detector.false_alarm_rate if detector else None,
            calibration_records=detector.calibration_records if detector else None,
            on_trial=on_trial.version if on_trial else None,
            drifts=tuple(drifting[name]),
            traffic=traffic.get(name, ()),
            episodes_open=counts.episodes.get(name, 0),
            realised=counts.realised(name) if detector else Flagged(),
            read_until=read_until.get(name),
            records_scored=counts.scored.get(name, 0) or 0,
            anomalies=counts.flagged_lately.get(name, 0),
            last_score=scored.get(name),
            last_train=trained.get(name),
        )


class _Counts:
    """Counts of episodes and records of some monitors: monitor -> count."""

    def __init__(
        self,
        connection: sa.Connection,
        names: Sequence[str],
        since: datetime,
    ) -> None:
        count = sa.func.count()
        is_open = episodes.c.state.in_(NOT_CLOSED)
        scoring = runs.c.job == Job.SCORE
        lately = runs.c.started_at >= since
        self.episodes = _by_monitor(connection, names, episodes, count, is_open)
        self.scored = _by_monitor(
            connection, names, runs, sa.func.sum(runs.c.records_scored), scoring, lately
        )
        self.flagged_lately = _flagged(connection, names, scores.c.scored_at >= since)
        self._judged = _judged(connection, names)
        self._flagged = _flagged(
            connection,
            names,
            detectors.c.id == scores.c.detector_id,
            detectors.c.state == DetectorState.ACTIVE,
            scores.c.scored_at >= _RECENT_STATE,
        )

    def realised(self, name: str) -> Flagged:
        """Return the counts of the active detector of a monitor."""
        return Flagged(judged=self._judged.get(name, 0) or 0, flagged=self._flagged.get(name, 0))


def _judging(
    connection: sa.Connection, names: Sequence[str]
) -> dict[str, dict[DetectorState, JudgingDetector]]:
    """Return monitor -> state -> detector that judges: active, or on trial."""
    judging = detectors.c.state.in_((DetectorState.ACTIVE.value, DetectorState.SHADOW.value))
    query = (
        sa.select(
            detectors.c.monitor,
            detectors.c.state,
            detectors.c.id,
            detectors.c.version,
            detectors.c.trained_at,
            detectors.c.training_records,
            thresholds.c.calibration_records,
            thresholds.c.value.label("threshold"),
            thresholds.c.false_alarm_rate,
        )
        .join(thresholds, thresholds.c.detector_id == detectors.c.id)
        .where(is_among(connection, detectors.c.monitor, names), judging)
        .order_by(thresholds.c.id.desc())
    )
    found: dict[str, dict[DetectorState, JudgingDetector]] = {}
    for row in connection.execute(query).mappings():  # newest threshold of a detector comes first
        values = {name: row[name] for name in JudgingDetector._fields}
        values["false_alarm_rate"] = rate_of(values["false_alarm_rate"])
        state = DetectorState(row["state"])
        found.setdefault(row["monitor"], {}).setdefault(state, JudgingDetector(**values))
    return found


def _by_monitor(
    connection: sa.Connection,
    names: Sequence[str],
    table: sa.Table,
    value: sa.ColumnElement[Any],
    *conditions: sa.ColumnElement[bool],
) -> dict[str, Any]:
    """Return monitor -> an aggregate of the rows of a table."""
    query = (
        sa.select(table.c.monitor, value)
        .where(is_among(connection, table.c.monitor, names), *conditions)
        .group_by(table.c.monitor)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _judged(connection: sa.Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return monitor -> records judged by its active detector, counted in the ledger."""
    query = (
        sa.select(detectors.c.monitor, sa.func.sum(_JUDGED))
        .select_from(detectors)
        .join(
            runs,
            sa.and_(
                runs.c.monitor == detectors.c.monitor,
                runs.c.job == Job.SCORE,
                runs.c.started_at >= _RECENT_STATE,
            ),
        )
        .where(
            is_among(connection, detectors.c.monitor, names),
            detectors.c.state == DetectorState.ACTIVE,
        )
        .group_by(detectors.c.monitor)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _flagged(
    connection: sa.Connection, names: Sequence[str], *conditions: sa.ColumnElement[bool]
) -> dict[str, int]:
    """Return monitor -> flagged records; hindsight verdicts do not count."""
    query = (
        sa.select(anomalies.c.monitor, sa.func.count())
        .select_from(anomalies)
        .join(scores, sa.and_(*IS_CURRENT, scores.c.verdict == Verdict.ANOMALY))
        .join(detectors, detectors.c.id == scores.c.detector_id)
        .join(runs, runs.c.id == scores.c.run_id)
        .where(
            is_among(connection, anomalies.c.monitor, names), runs.c.job == Job.SCORE, *conditions
        )
        .group_by(anomalies.c.monitor)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _drifting(connection: sa.Connection, names: Sequence[str]) -> dict[str, list[str]]:
    query = (
        sa.select(drifts.c.monitor, drifts.c.reason)
        .where(is_among(connection, drifts.c.monitor, names), drifts.c.state == OPEN)
        .order_by(drifts.c.id)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for name, reason in connection.execute(query):
        found[name].append(reason)
    return found


def _traffic(connection: sa.Connection, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return monitor -> sentences about an unusual arrival of records.

    The database takes the sentences out of the state, which may be long.
    """
    state = live_states.c.state
    told: Any
    if connection.dialect.name == "sqlite":
        valid = sa.func.json_valid(sa.type_coerce(state, sa.Text)) == 1
        told = sa.func.json_extract(sa.type_coerce(state, sa.Text), "$.traffic.told")
        told = sa.case((valid, told), else_=None)
    else:
        told = state.op("#>")(sa.literal_column("'{traffic,told}'"))
    told = sa.type_coerce(told, sa.JSON)
    query = sa.select(live_states.c.monitor, told).where(
        is_among(connection, live_states.c.monitor, names)
    )
    return {
        name: tuple(str(text) for text in texts)
        for name, texts in connection.execute(query)
        if isinstance(texts, list)
    }


def _last_runs(connection: sa.Connection, names: Sequence[str], job: Job) -> dict[str, LastRun]:
    """Return monitor -> newest ledger row of a job."""
    other = runs.alias("other")
    newest = (
        sa.select(other.c.id)
        .where(other.c.monitor == monitors.c.name, other.c.job == job)
        .order_by(other.c.started_at.desc(), other.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(
            monitors.c.name,
            runs.c.outcome,
            runs.c.reason,
            runs.c.finished_at,
            runs.c.records_read,
        )
        .select_from(monitors)
        .join(runs, runs.c.id == newest)
        .where(is_among(connection, monitors.c.name, names))
    )
    rows = connection.execute(query).mappings().all()
    return {row["name"]: LastRun(**{each: row[each] for each in LastRun.__slots__}) for row in rows}
