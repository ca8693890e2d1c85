"""Maintains a detector after every run: keeps its target rate, and reports drift."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

from aemon.config.schema import MonitorSettings
from aemon.detection.drift.column_drift import HALF_LIFE
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.false_alarms import bounded
from aemon.detection.thresholds.recalibration import recalibrate
from aemon.lifecycle.loaded_detector import Loaded, packed_thresholds
from aemon.lifecycle.policy import drift_is_over, drifts_found
from aemon.lifecycle.recent_records import RecentRecords
from aemon.logs import Action, log
from aemon.store.drifts import Drift, DriftKind, begin_drifts, end_drifts
from aemon.store.moved_thresholds import save_thresholds
from aemon.store.store import Store

logger = logging.getLogger(__name__)


def keep_target_rate(
    store: Store, loaded: Loaded, memory: RecentRecords, settings: MonitorSettings
) -> None:
    """Recalibrate the thresholds if the recent records do not show the target rate.

    Raises:
        StaleWatermarkError: another daemon has changed the thresholds.
        StoreError: the database fails.
    """
    current = loaded.detector.thresholds
    recent = memory.recent() if settings.life.recalibrate else None
    if recent is None:
        return
    moved = recalibrate(memory.base, current, recent, settings.threshold)
    if moved is None:
        return
    # Records of a fault among the recent records must not make a threshold too high.
    moved = bounded(moved, current, memory.base)
    was, now = current.pooled.value, moved.pooled.value
    reason = f"recalibrated on {len(recent.scores)} records: from {was:.4g} to {now:.4g}"
    replace_thresholds(store, loaded, moved, settings, reason)


def replace_thresholds(
    store: Store, loaded: Loaded, thresholds: Thresholds, settings: MonitorSettings, reason: str
) -> None:
    """Store new thresholds, which the next run uses.

    Raises:
        StaleWatermarkError: another daemon has changed the thresholds.
        StoreError: the database fails.
    """
    content, columns = packed_thresholds(thresholds, settings.threshold)
    save_thresholds(store, loaded.stored, content, columns, reason)
    name, version = loaded.stored.monitor, loaded.stored.version
    log(logger, logging.INFO, Action.THRESHOLD_MOVED, reason, monitor=name, version=version)


def note_drift(store: Store, name: str, memory: RecentRecords, settings: MonitorSettings) -> int:
    """Store new drifts and the end of known drifts; return the number of new drifts.

    Raises:
        StoreError: the database fails.
    """
    indices = memory.column_drift()
    since = _since(memory, store.now())
    found = drifts_found(memory.life, memory.reference, indices, since, settings.life)
    known = {drift.about for drift in memory.drifts}
    new = [drift for drift in found if drift.about not in known]
    over = [drift for drift in memory.drifts if drift_is_over(drift, memory.life, indices)]
    if new:
        begin_drifts(store, name, memory.detector_id, new)
        for drift in new:
            log(logger, logging.WARNING, Action.DRIFT_FOUND, drift.reason, monitor=name)
        _count_from_here(store, memory, new)
    if over:
        end_drifts(store, name, over, "the records are as in training again")
        for drift in over:
            log(logger, logging.INFO, Action.DRIFT_OVER, drift.reason, monitor=name)
    memory.drifts = [drift for drift in [*memory.drifts, *new] if drift not in over]
    return len(new)


def _count_from_here(store: Store, memory: RecentRecords, new: list[Drift]) -> None:
    """Set and store the number of records since a new level began.

    For other kinds of drift, records are counted since the drift was reported, so the number stays
    unchanged here.
    """
    shifted = max((int(d.measure) for d in new if d.kind is DriftKind.SHIFT), default=0)
    if shifted > memory.life.since_drift:
        memory.life = replace(memory.life, since_drift=shifted)
        with store.writing() as connection:
            memory.record(connection, memory.life, memory.past, memory.traffic.traffic, store.now())


def _since(memory: RecentRecords, now: datetime) -> datetime:
    """Return the event time of the record that is `HALF_LIFE` records old.

    Drift of scores or columns that is found now began at this time or before.

    Args:
        memory: recent records of the active detector.
        now: returned if there are no recent records.
    """
    times = memory.times()
    if not len(times):
        return now
    first: datetime = times[-min(len(times), round(HALF_LIFE))].item()
    return first.replace(tzinfo=UTC)
