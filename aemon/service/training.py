"""Training a monitor's detector: which records it learns from, and storing the result."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.detector import Detector
from aemon.errors import TrainingError
from aemon.frame import Frame, check_frame
from aemon.records import Watermark
from aemon.service.history import KeptRecords
from aemon.service.rows import detector_rows
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store import queries
from aemon.store.engine import open_engine
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training made."""

    version: int
    records: int
    excluded: int  # flagged records that were left out
    seconds: float
    validation_error: float
    threshold: float


def train_once(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Trained:
    """Train a detector on normal records, store it, and make it the active one.

    The first detector learns from the source's first `min_records` records (or, with
    `start: now`, from the newest), and the watermark is put behind them: every later record is
    judged. A later one learns from the newest records that have been judged already and were
    not flagged, so that it never learns from what it is about to judge.

    Raises:
        TrainingError: there are too few records, or nothing can be learned from them.
        AemonError: the source or the store is at fault.
    """
    source = _open_source(name, settings, store, clock)
    try:
        frame, watermark, excluded = _training_records(name, settings, store, source)
    finally:
        source.close()
    detector = _train(frame, settings)
    version = store.save_detector(name, detector_rows(detector, watermark))
    return Trained(
        version=version,
        records=len(frame),
        excluded=excluded,
        seconds=detector.provenance.seconds,
        validation_error=detector.provenance.validation_error,
        threshold=detector.threshold.value,
    )


def train_in_worker(name: str, settings: MonitorSettings, store_url: str) -> Trained:
    """`train_once` for another process: it opens its own store, with the system clock."""
    from aemon.clock import utc_now

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
    if first and len(fetched.table) < settings.min_records:
        raise TrainingError(
            f"{name}: {len(fetched.table)} of {settings.min_records} records are there",
            todo="wait for more, or lower min_records",
        )
    if first:
        return frame, fetched.watermark, 0
    kept = _without_flagged(name, store, frame)
    return kept, None, len(frame) - len(kept)


def _without_flagged(name: str, store: Store, frame: Frame) -> Frame:
    """Past anomalies would teach the new detector that they are normal."""
    if not len(frame):
        return frame
    since = pd.Timestamp(frame.times.min(), tz="UTC").to_pydatetime()
    flagged = queries.flagged_identities(store, name, since)
    pairs = zip(frame.entities, frame.keys, strict=True)
    clean = np.array([pair not in flagged for pair in pairs], dtype=bool)
    return frame.take(clean)


def _train(frame: Frame, settings: MonitorSettings) -> Detector:
    from aemon.detection.detector import train_detector

    return train_detector(frame, settings.learning, settings.detector.seed)
