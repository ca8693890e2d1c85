"""Training a monitor's detector: which records it learns from, and storing the result."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.clock import Clock, utc_now
from aemon.config.schema import MonitorSettings, identity
from aemon.detection.learning import train_detector
from aemon.errors import TrainingError
from aemon.frame import Frame, check_frame
from aemon.records import Watermark
from aemon.service.history import KeptRecords
from aemon.service.rows import detector_rows
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store import queries
from aemon.store.detectors import active_detector, save_detector
from aemon.store.engine import open_engine
from aemon.store.store import Store

SELDOM = 0.1
"""How often, at most, the oddest of all normal records is taken for an anomaly."""

LEAST_USABLE_SHARE = 0.5
"""With fewer usable records among the first ones, the wrong columns are being read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training made."""

    id: int
    threshold_id: int
    version: int
    records: int
    excluded: int  # flagged records that were left out
    seconds: float
    validation_error: float
    threshold: float
    note: str  # what a person should know of the threshold; often nothing


def train_once(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Trained:
    """Train a detector on normal records, store it, and make it the active one.

    The first detector learns from the source's first `min_records` records (or, with
    `start: now`, from the newest), and the watermark is put behind them: every later record is
    judged. A later one learns from the newest records that have been judged already, without
    those that were flagged beyond what the promise explains, so that it never learns from what
    it is about to judge.

    Raises:
        TrainingError: there are too few records, or nothing can be learned from them.
        AemonError: the source or the store is at fault.
    """
    source = _open_source(name, settings, store, clock)
    try:
        frame, watermark, excluded = _training_records(name, settings, store, source)
    finally:
        source.close()
    detector = train_detector(frame, settings.learning, settings.detector.seed)
    new = detector_rows(detector, watermark, identity(settings.source))
    saved = save_detector(store, name, new)
    return Trained(
        id=saved.id,
        threshold_id=saved.threshold_id,
        version=saved.version,
        records=len(frame),
        excluded=excluded,
        seconds=detector.provenance.seconds,
        validation_error=detector.provenance.validation_error,
        threshold=detector.threshold.value,
        note=detector.lines.note,
    )


def train_in_worker(name: str, settings: MonitorSettings, store_url: str) -> Trained:
    """`train_once` for another process: it opens its own store, with the system clock."""
    store = Store(open_engine(store_url), utc_now)
    try:
        return train_once(name, settings, store, utc_now)
    finally:
        store.close()


def _open_source(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Source:
    source = open_source(settings.source, clock=clock)
    if source.replayable:
        return source
    source.close()
    return KeptRecords(store, name)


def _training_records(
    name: str, settings: MonitorSettings, store: Store, source: Source
) -> tuple[Frame, Watermark | None, int]:
    """The records to learn from, the watermark if this is the first time, the number left out."""
    mark = store.mark(name)
    first = mark.watermark is None
    if not first:
        fetched = source.newest(mark.watermark, settings.max_training_records)
    elif settings.start == "now":
        fetched = source.newest(None, settings.max_training_records)
    else:
        fetched = source.fetch(None, settings.min_records)
    frame = check_frame(fetched.table, source.roles)
    if first:
        _check_usable(name, settings, len(fetched.table), frame, fetched.waiting)
        return frame, fetched.watermark, 0
    kept = _without_flagged(name, store, frame)
    return kept, None, len(frame) - len(kept)


def _check_usable(
    name: str, settings: MonitorSettings, there: int, frame: Frame, waiting: int
) -> None:
    """Refuse to call a handful of records the normal life of a monitor."""
    if there < settings.min_records:
        held = f", {waiting} more with a time nobody can believe" if waiting else ""
        raise TrainingError(
            f"{name}: {there} of {settings.min_records} records are there{held}",
            todo="wait for more, or lower min_records",
        )
    if len(frame) < LEAST_USABLE_SHARE * there:
        reasons = ", ".join(f"{count} {reason}" for reason, count in frame.rejected.items())
        raise TrainingError(
            f"{name}: of the first {there} records only {len(frame)} can be used: {reasons}",
            todo="see with `aemon check` whether time and key are the right columns",
        )


def _without_flagged(name: str, store: Store, frame: Frame) -> Frame:
    """The frame without the records that were flagged beyond what the promise explains.

    Past anomalies would teach the new detector that they are normal. But some flagged records
    are the promised false alarms: were they left out too, every detector's calibration would end
    where the last one's line was, and each would flag more than the one before.
    """
    active = active_detector(store, name)
    if not len(frame) or active is None:
        return frame
    since = pd.Timestamp(frame.times.min(), tz="UTC").to_pydatetime()
    flagged = queries.flagged_p_values(store, name, since)
    pairs = zip(frame.entities, frame.keys, strict=True)
    p_values = np.array([flagged.get(pair, np.nan) for pair in pairs])
    return frame.take(~unexplained(p_values, active.false_alarm_rate))


def unexplained(
    p_values: npt.NDArray[np.float64], false_alarm_rate: float
) -> npt.NDArray[np.bool_]:
    """Which of N judged records were flagged beyond what the promised rate explains (N,).

    N normal records give a binomial number of false alarms, seldom more than its mean and three
    standard deviations, and the smallest of their p-values is seldom below a tenth of 1/N. So
    that many flagged records are taken for normal, the least odd first, and none odder.

    Args:
        p_values: (N,) of the flagged records, NaN for the others.
        false_alarm_rate: as promised.
    """
    flagged = np.flatnonzero(~np.isnan(p_values))
    expected = false_alarm_rate * len(p_values)
    most = round(expected + 3 * np.sqrt(expected))
    least_odd_first = flagged[np.argsort(-p_values[flagged], kind="stable")]
    found = np.zeros(len(p_values), dtype=bool)
    found[least_odd_first[most:]] = True
    found[flagged[p_values[flagged] < SELDOM / max(1, len(p_values))]] = True
    return found
