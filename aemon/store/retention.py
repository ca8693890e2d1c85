"""Removes old results in small batches, one transaction each, so that no writer waits for long.

The age of a result counts from the time when it was written, not from its event time.
"""

import operator
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aemon.config.service_settings import RetentionSettings
from aemon.records import DetectorState, EpisodeState, Job, Verdict
from aemon.store.drifts import OPEN
from aemon.store.retired_detectors import remove_artifacts, remove_trials, unused_artifacts
from aemon.store.schema.month_removal import drop_empty_months
from aemon.store.schema.tables import (
    anomalies,
    detectors,
    drifts,
    episodes,
    monitors,
    runs,
    scores,
    thresholds,
    trials,
)
from aemon.store.store import Store

ROWS_AT_ONCE = 500
FLAGGED_WEIGHT = 10  # a flagged record also has one row for each column that explains the record
# The pause after a batch, as a multiple of the batch's duration. SQLite writers that wait for the
# lock try again and again, and get the lock in such a pause.
RESTS = 3
TABLES = ("scores", "anomalies", "episodes", "trials", "drifts", "runs", "artifacts")

_OLDEST = datetime(1900, 1, 1, tzinfo=UTC)

Counts = dict[str, int]
"""Kind of result -> number of removed rows; a flagged record and its dependent rows count as 1."""

_SCORE_NAMES = ("event_time", "record_key", "entity", "revision")
_SCORE = tuple(scores.c[name] for name in _SCORE_NAMES)
_DETECTOR = (detectors.c.trained_at, detectors.c.id)
_EPISODE = (episodes.c.updated_at, episodes.c.id)
_DRIFT = (drifts.c.detected_at, drifts.c.id)
_RUN = (runs.c.started_at, runs.c.id)


@dataclass(frozen=True)
class _Due:
    """Rows that may be removed, and the columns of the index that finds the rows."""

    name: str
    key: Sequence[sa.Column[Any]]  # columns of the index; the first column is a time
    before: datetime  # rows are old enough if the first column of the key is before this time
    condition: sa.ColumnElement[bool]
    within: sa.ColumnElement[bool] = field(default_factory=sa.true)  # selects a part of the index
    weight: int = 1  # number of rows that are removed with each row, including the row itself

    @property
    def table(self) -> sa.Table:
        return self.key[0].table

    def old(self, monitor: Any) -> sa.ColumnElement[bool]:
        """Return the condition that a row of the monitor is in this part of the index, and old."""
        return sa.and_(self.table.c.monitor == monitor, self.within, self.key[0] < self.before)

    def of(self, monitor: Any) -> sa.ColumnElement[bool]:
        return sa.and_(self.old(monitor), self.condition)

    def between(self, monitor: Any, first: Sequence[Any], last: Sequence[Any] | None) -> Any:
        """Return the condition for due rows with keys from `first` to `last` (None: no limit)."""
        if last is None:
            return sa.and_(self.of(monitor), *self.beyond(operator.ge, first))
        # One upper bound only: SQLite searches the index up to the first upper bound in the query.
        part = sa.and_(self.table.c.monitor == monitor, self.within, self.condition)
        return sa.and_(part, *self.beyond(operator.ge, first), *self.beyond(operator.le, last))

    def beyond(
        self, compare: Callable[[Any, Any], Any], values: Sequence[Any]
    ) -> tuple[sa.ColumnElement[bool], ...]:
        """Return the conditions for the rows for which `compare(key, values)` is true."""
        pairs = zip(self.key, values, strict=True)
        bounds = [sa.literal(value, column.type) for column, value in pairs]
        # The second condition implies the first. The first condition lets the database use the
        # index, and skip partitions.
        roughly = operator.le if compare is operator.le else operator.ge
        return roughly(self.key[0], bounds[0]), compare(sa.tuple_(*self.key), sa.tuple_(*bounds))


def count_old(
    store: Store, monitor: str | None, settings: RetentionSettings, now: datetime
) -> Counts:
    """Count the results that `prune` would remove, by kind; remove nothing.

    Raises:
        StoreError: the database fails.
    """
    counts = dict.fromkeys(TABLES, 0)
    for name in _monitors(store, monitor):
        for what, count in _count(store, name, settings, now).items():
            counts[what] += count
    return counts


def prune(
    store: Store,
    monitor: str | None,
    settings: RetentionSettings,
    now: datetime,
    *,
    batch: int = ROWS_AT_ONCE,
    rest: Callable[[float], None] = time.sleep,
) -> Counts:
    """Remove results that are older than the settings allow; return kind -> removed rows.

    Args:
        store: the store.
        monitor: name of the monitor; None for all monitors in the store, configured or not.
        settings: how long each kind of result is kept.
        now: the time that ages are computed from.
        batch: number of rows that one transaction removes.
        rest: called after each transaction with the seconds to leave to other writers.

    Raises:
        StoreError: the database fails; results removed by earlier transactions stay removed.
    """
    counts = dict.fromkeys(TABLES, 0)
    for name in _monitors(store, monitor):
        for what, removed in removals(store, name, settings, now, batch=batch, rest=rest):
            counts[what] += removed
    return counts


def removals(
    store: Store,
    monitor: str,
    settings: RetentionSettings,
    now: datetime,
    *,
    batch: int = ROWS_AT_ONCE,
    rest: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, int]]:
    """Remove old results of a monitor in batches; yield (kind, number of rows) of each commit.

    - Scores are found by event time, which has an index. If the event time of a record is later
      than its scoring time, the record stays until its event time is old enough.
    - The age of a superseded revision counts from its own scoring time.
    - The age of an episode counts from its last flagged record.
    - The age of the weights and thresholds of a detector counts from its retirement or rejection.
    - The newest run of the ledger always stays, because SQLite would use its id a second time.

    Raises:
        StoreError: the database fails; results removed by earlier transactions stay removed.
    """
    for due in _due_of(store, monitor, settings, now):
        if due.name == "artifacts":
            steps = remove_artifacts(store, monitor, due.of(monitor))
        elif due.name == "trials":
            steps = remove_trials(store, due.of(monitor))
        else:
            steps = _remove_rows(store, monitor, due, batch)
        began = time.monotonic()
        for removed in steps:
            took = time.monotonic() - began
            yield due.name, removed
            rest(RESTS * took)
            began = time.monotonic()


def due_monitors(store: Store, settings: RetentionSettings, now: datetime) -> list[str]:
    """Return the monitors with results that are old enough to be removed.

    Raises:
        StoreError: the database fails.
    """
    found = [sa.exists().where(due.of(monitors.c.name)) for due in _all_due(settings, now)]
    query = sa.select(monitors.c.name).where(sa.or_(sa.false(), *found)).order_by(monitors.c.name)
    with store.reading() as connection:
        return list(connection.execute(query).scalars())


def drop_empty_partitions(store: Store, settings: RetentionSettings, now: datetime) -> list[str]:
    """Drop empty monthly partitions of scores that are too old for new records; only PostgreSQL.

    Raises:
        StoreError: the database fails.
    """
    ages = (settings.scores, settings.anomalies)
    begins = [_before(now, age) for age in ages]
    kept = [begin for begin in begins if begin is not None]
    if len(kept) < len(begins):
        return []
    return drop_empty_months(store, min(kept))


def _before(now: datetime, age: timedelta | None) -> datetime | None:
    """Return the time before which results are too old; None if no result can be too old."""
    return None if age is None or age > now - _OLDEST else now - age


def _all_due(settings: RetentionSettings, now: datetime) -> Iterator[_Due]:
    """Yield each kind of rows with the condition for removal; leave out kinds that stay."""
    # Suppressed records stay as long as flagged records, because training leaves out both kinds.
    above_threshold = (Verdict.ANOMALY, Verdict.SUPPRESSED)
    flagged = sa.or_(*(scores.c.verdict == verdict for verdict in above_threshold))
    if before := _before(now, settings.scores):
        old = sa.and_(sa.not_(flagged), scores.c.scored_at < before)
        yield _Due("scores", _SCORE, before, old)
    if before := _before(now, settings.anomalies):
        old = sa.and_(flagged, scores.c.scored_at < before)
        yield _Due("anomalies", _SCORE, before, old, weight=FLAGGED_WEIGHT)
        same = (anomalies.c[name] == scores.c[name] for name in ("monitor", *_SCORE_NAMES))
        young = sa.or_(scores.c.event_time >= before, scores.c.scored_at >= before)
        stays = sa.exists().where(anomalies.c.episode_id == episodes.c.id, *same, young)
        closed = episodes.c.state == EpisodeState.CLOSED
        yield _Due("episodes", _EPISODE, before, ~stays, within=closed)
        tried = sa.exists().where(
            trials.c.detector_id == detectors.c.id, trials.c.updated_at < before
        )
        decided = detectors.c.state != DetectorState.SHADOW
        yield _Due("trials", _DETECTOR, before, sa.and_(decided, tried))
        over = sa.and_(drifts.c.state != OPEN, drifts.c.ended_at < before)
        yield _Due("drifts", _DRIFT, before, over)
    if before := _before(now, settings.runs):
        newest = runs.alias("newest")
        newest_id = sa.select(sa.func.max(newest.c.id)).scalar_subquery()
        for job in Job:  # the order of the index
            yield _Due("runs", _RUN, before, runs.c.id < newest_id, within=runs.c.job == job)
    if before := _before(now, settings.artifacts):
        retired = detectors.c.state.in_((DetectorState.RETIRED, DetectorState.REJECTED))
        # The age counts from the end of the active state, not from the training: a person may want
        # to return to a detector that was active recently.
        long_ago = sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at) < before
        moved = thresholds.alias("moved")
        has_moved = sa.exists().where(
            moved.c.detector_id == detectors.c.id, moved.c.artifact_sha256.is_not(None)
        )
        has_artifact = sa.or_(detectors.c.artifact_sha256.is_not(None), has_moved)
        yield _Due("artifacts", _DETECTOR, before, sa.and_(retired, long_ago, has_artifact))


def _due_of(
    store: Store, monitor: str, settings: RetentionSettings, now: datetime
) -> Iterator[_Due]:
    """Yield each kind of rows of a monitor with the condition for removal.

    Scores after the settled position stay, because records after this position are read again. If
    a source is silent for longer than scores are kept, aemon must still know these records.
    """
    mark = store.mark(monitor)
    settled = mark.settled.event_time if mark.settled else None
    newest = mark.watermark.event_time if mark.watermark else None
    held = settled if settled is not None and newest is not None and settled < newest else None
    for due in _all_due(settings, now):
        if held is not None and due.table is scores:
            yield replace(due, before=min(due.before, held))
        else:
            yield due


def _monitors(store: Store, monitor: str | None) -> list[str]:
    """Return the names of the monitors: the given name, or for None all monitors in the store."""
    if monitor is not None:
        return [monitor]
    with store.reading() as connection:
        query = sa.select(monitors.c.name).order_by(monitors.c.name)
        return list(connection.execute(query).scalars())


def _remove_rows(store: Store, monitor: str, due: _Due, batch: int) -> Iterator[int]:
    """Remove due rows in batches of adjacent keys; yield the number of removed rows of each batch.

    Rows that stay count towards the size of a batch, too.
    """
    keys = sa.select(*due.key).order_by(*due.key).limit(1)
    others = max(1, batch // due.weight) - 1
    last: sa.Row[Any] | None = None
    while True:
        # The search may pass many rows that stay; a read transaction does not block writers.
        with store.reading() as connection:
            behind = () if last is None else due.beyond(operator.gt, last)
            first = connection.execute(keys.where(due.of(monitor), *behind)).first()
            if first is None:
                return
            rest = keys.where(due.old(monitor), *due.beyond(operator.ge, first))
            last = connection.execute(rest.offset(others)).first()
        with store.writing() as connection:
            # The database also deletes the rows in `anomalies` and `contributions` of the record.
            delete = sa.delete(due.table).where(due.between(monitor, first, last))
            removed = connection.execute(delete).rowcount
        yield removed
        if last is None:
            return


def _count(store: Store, monitor: str, settings: RetentionSettings, now: datetime) -> Counts:
    """Return kind of result -> number of rows of a monitor that are due for removal."""
    counts = dict.fromkeys(TABLES, 0)
    all_due = list(_due_of(store, monitor, settings, now))
    with store.reading() as connection:
        for due in all_due:
            if due.name == "artifacts":
                query = unused_artifacts(monitor, sa.and_(due.key[0] < due.before, due.condition))
            else:
                query = sa.select(sa.func.count()).where(due.of(monitor))
            counts[due.name] += connection.execute(query).scalar_one()
    return counts
