"""Removing results by age: a small batch a transaction, so that no writer waits for long.

Ages count from when results were made, whatever time they are about.
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
FLAGGED_WEIGHT = 10  # a flagged record has a row for every column to blame
RESTS = 3  # times as long as a batch took: SQLite's writers only look now and then for a gap
TABLES = ("scores", "anomalies", "episodes", "trials", "drifts", "runs", "artifacts")

_OLDEST = datetime(1900, 1, 1, tzinfo=UTC)

Counts = dict[str, int]
"""What is removed -> rows; a flagged record counts once, whatever goes with it."""

_SCORE_NAMES = ("event_time", "record_key", "entity", "revision")
_SCORE = tuple(scores.c[name] for name in _SCORE_NAMES)
_DETECTOR = (detectors.c.trained_at, detectors.c.id)
_EPISODE = (episodes.c.updated_at, episodes.c.id)
_DRIFT = (drifts.c.detected_at, drifts.c.id)
_RUN = (runs.c.started_at, runs.c.id)


@dataclass(frozen=True)
class _Due:
    """Rows that may go, and the key by which an index has them, a time first."""

    name: str
    key: Sequence[sa.Column[Any]]
    before: datetime  # of the key's time
    condition: sa.ColumnElement[bool]
    within: sa.ColumnElement[bool] = field(default_factory=sa.true)  # which part of the index
    weight: int = 1  # rows that go along with each, itself included

    @property
    def table(self) -> sa.Table:
        return self.key[0].table

    def old(self, monitor: Any) -> sa.ColumnElement[bool]:
        """The part of the index where they are."""
        return sa.and_(self.table.c.monitor == monitor, self.within, self.key[0] < self.before)

    def of(self, monitor: Any) -> sa.ColumnElement[bool]:
        return sa.and_(self.old(monitor), self.condition)

    def stretch(self, monitor: Any, first: Sequence[Any], last: Sequence[Any] | None) -> Any:
        """Those from one key to another, or to the end."""
        if last is None:
            return sa.and_(self.of(monitor), *self.beyond(operator.ge, first))
        # One upper end only: SQLite would go through the index as far as the first it is given.
        part = sa.and_(self.table.c.monitor == monitor, self.within, self.condition)
        return sa.and_(part, *self.beyond(operator.ge, first), *self.beyond(operator.le, last))

    def beyond(
        self, compare: Callable[[Any, Any], Any], values: Sequence[Any]
    ) -> tuple[sa.ColumnElement[bool], ...]:
        """Rows on one side of a key."""
        pairs = zip(self.key, values, strict=True)
        there = [sa.literal(value, column.type) for column, value in pairs]
        # The first part follows from the second: an index, or a month, is chosen by it.
        roughly = operator.le if compare is operator.le else operator.ge
        return roughly(self.key[0], there[0]), compare(sa.tuple_(*self.key), sa.tuple_(*there))


def count_old(
    store: Store, monitor: str | None, settings: RetentionSettings, now: datetime
) -> Counts:
    """Count what `prune` would remove, and remove nothing.

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
    """Remove what is older than the settings allow; how much of what.

    Args:
        store: where.
        monitor: whose; None for all that the store knows, configured or not.
        settings: how long what is kept.
        now: ages count back from here.
        batch: rows in one transaction.
        rest: called between two transactions with the seconds to leave to others.

    Raises:
        StoreError: the database fails; what was removed before stays removed.
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
    """Remove a monitor's old results batch by batch; what, and how many, after each commit.

    Scores are searched by event time, for which there is an index: those of records that carry
    a time later than their scoring stay until that time, too, is old enough. A superseded
    revision goes by its own age, an episode after the last of its flagged records, a detector's
    weights and lines by the time since it judged last. The ledger's
    newest run stays, whatever its age: SQLite would give its number away a second time.

    Raises:
        StoreError: the database fails; what was removed before stays removed.
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
    """The monitors of which something is old enough to be removed.

    Raises:
        StoreError: the database fails.
    """
    found = [sa.exists().where(due.of(monitors.c.name)) for due in _all_due(settings, now)]
    query = sa.select(monitors.c.name).where(sa.or_(sa.false(), *found)).order_by(monitors.c.name)
    with store.reading() as connection:
        return list(connection.execute(query).scalars())


def drop_empty_partitions(store: Store, settings: RetentionSettings, now: datetime) -> list[str]:
    """Drop PostgreSQL's months of scores that are empty and so old that they stay so.

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
    """What was made before then is too old; None if nothing can be."""
    return None if age is None or age > now - _OLDEST else now - age


def _all_due(settings: RetentionSettings, now: datetime) -> Iterator[_Due]:
    """What is too old, by kind; a kind that is kept forever is left out."""
    # What was kept quiet goes on teaching nothing: it stays as long as what was told.
    over_the_line = (Verdict.ANOMALY, Verdict.SUPPRESSED)
    flagged = sa.or_(*(scores.c.verdict == verdict for verdict in over_the_line))
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
        for job in Job:  # as the index has them
            yield _Due("runs", _RUN, before, runs.c.id < newest_id, within=runs.c.job == job)
    if before := _before(now, settings.artifacts):
        retired = detectors.c.state.in_((DetectorState.RETIRED, DetectorState.REJECTED))
        # However old it is: a person may want to go back to what judged until just now.
        long_ago = sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at) < before
        lines = thresholds.alias("lines")
        drawn = sa.exists().where(
            lines.c.detector_id == detectors.c.id, lines.c.artifact_sha256.is_not(None)
        )
        there = sa.or_(detectors.c.artifact_sha256.is_not(None), drawn)
        yield _Due("artifacts", _DETECTOR, before, sa.and_(retired, long_ago, there))


def _due_of(
    store: Store, monitor: str, settings: RetentionSettings, now: datetime
) -> Iterator[_Due]:
    """What of a monitor is too old. Scores that late records are compared with are not.

    A source may fall silent for longer than scores are kept; what is read again then was judged.
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
    """The one, or all that the store knows."""
    if monitor is not None:
        return [monitor]
    with store.reading() as connection:
        query = sa.select(monitors.c.name).order_by(monitors.c.name)
        return list(connection.execute(query).scalars())


def _remove_rows(store: Store, monitor: str, due: _Due, batch: int) -> Iterator[int]:
    """Remove stretch after stretch of at most so many rows, those between that stay included."""
    keys = sa.select(*due.key).order_by(*due.key).limit(1)
    others = max(1, batch // due.weight) - 1
    last: sa.Row[Any] | None = None
    while True:
        # The search may pass many rows that stay: it takes no lock that a writer waits for.
        with store.reading() as connection:
            behind = () if last is None else due.beyond(operator.gt, last)
            first = connection.execute(keys.where(due.of(monitor), *behind)).first()
            if first is None:
                return
            rest = keys.where(due.old(monitor), *due.beyond(operator.ge, first))
            last = connection.execute(rest.offset(others)).first()
        with store.writing() as connection:
            # A flagged record's rows in `anomalies` and `contributions` go along.
            delete = sa.delete(due.table).where(due.stretch(monitor, first, last))
            removed = connection.execute(delete).rowcount
        yield removed
        if last is None:
            return


def _count(store: Store, monitor: str, settings: RetentionSettings, now: datetime) -> Counts:
    """How much of a monitor's is due."""
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
