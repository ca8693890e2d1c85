"""Training a monitor's detector, and training one again from its manifest."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aemon.clock import Clock, utc_now
from aemon.config.schema import LearningSettings, MonitorSettings, identity
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.detection.raising import raise_lines
from aemon.errors import FrameError
from aemon.frame import Frame
from aemon.service.history import KeptRecords
from aemon.service.rows import detector_rows
from aemon.service.training_records import TrainingRecords, choose_records
from aemon.sources.registry import open_source
from aemon.sources.source import Source
from aemon.store.detectors import newest_version, save_detector
from aemon.store.engine import open_engine
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training made."""

    id: int
    threshold_id: int
    version: int
    records: int
    excluded: int  # records that were left out: flagged, confirmed or ignored
    told: str  # what was left out, brought back and raised, in plain words; often nothing
    seconds: float
    validation_error: float
    threshold: float
    note: str  # what a person should know of the threshold; often nothing


def train_once(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Trained:
    """Train a detector on normal records, store it, and make it the active one.

    The first detector learns from the source's first `min_records` records (or, with
    `start: now`, from the newest), and the watermark is put behind them: every later record is
    judged. A later one learns from the newest records that have been judged already, so that it
    never learns from what it is about to judge. Feedback is taken up, see `choose_records` and
    `raise_lines`.

    Raises:
        TrainingError: there are too few records, or nothing can be learned from them.
        StaleWatermarkError: another daemon has trained a detector meanwhile.
        AemonError: the source or the store is at fault.
    """
    after = newest_version(store, name)
    source = open_replayable(name, settings, store, clock)
    try:
        chosen = choose_records(name, settings, store, source)
    finally:
        source.close()
    learned = train_detector(chosen.frame, settings.learning, settings.detector.seed)
    detector = _heed(learned, chosen)
    manifest = {
        "settings": settings.learning.model_dump(mode="json"),
        "source": identity(settings.source),
        "read": chosen.read.as_json(),
        "rejected": chosen.rejected,
        "left_out": chosen.left_out,
        "brought_back": chosen.brought_back,
        "feedback": list(chosen.heeded),
        "lines": {"calibrated": line_values(learned), "drawn": line_values(detector)},
    }
    new = detector_rows(detector, chosen.watermark, identity(settings.source))
    new = replace(new, columns={**new.columns, "manifest": manifest}, heeded=chosen.heeded)
    saved = save_detector(store, name, new, after=after)
    return Trained(
        id=saved.id,
        threshold_id=saved.threshold_id,
        version=saved.version,
        records=len(chosen.frame),
        excluded=sum(len(pairs) for pairs in chosen.left_out.values()),
        told=", ".join(filter(None, (chosen.told, _raised(learned, detector)))),
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


def open_replayable(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Source:
    """A monitor's source, or what the store kept of one that cannot be read twice."""
    source = open_source(settings.source, clock=clock)
    if source.replayable:
        return source
    source.close()
    return KeptRecords(store, name)


def learn_again(frame: Frame, manifest: dict[str, Any], seed: int) -> Detector:
    """The detector a manifest tells of, from the same records.

    Raises:
        TrainingError: nothing can be learned from these records.
    """
    settings = LearningSettings.model_validate(manifest["settings"])
    learned = train_detector(frame, settings, seed)
    drawn = manifest["lines"]["drawn"]
    own = {
        name: _at(line, drawn["own"].get(name, line.value))
        for name, line in learned.lines.own.items()
    }
    lines = replace(learned.lines, pooled=_at(learned.lines.pooled, drawn["pooled"]), own=own)
    if line_values(learned) == manifest["lines"]["calibrated"]:
        return replace(learned, lines=lines)
    return learned  # other records: a line for those would be wrong for these


def line_values(detector: Detector) -> dict[str, Any]:
    """Every line of a detector, for its manifest."""
    own = {name: line.value for name, line in detector.lines.own.items()}
    return {"pooled": detector.lines.pooled.value, "own": own}


def _at(line: Any, value: float) -> Any:
    return replace(line, value=value, critical_value=max(line.critical_value, value))


def _heed(detector: Detector, chosen: TrainingRecords) -> Detector:
    """The detector with its lines raised by what people said."""
    parts = [_scored(detector, part) for part in (chosen.false_alarms, chosen.confirmed)]
    return replace(detector, lines=raise_lines(detector.lines, *parts))


def _scored(detector: Detector, frame: Frame | None) -> tuple[Any, Any]:
    """Scores and entities of records a person spoke of; none if they no longer fit."""
    nothing = np.zeros(0), np.zeros(0, dtype=object)
    if frame is None or not len(frame):
        return nothing
    try:
        return detector.judge(frame).scores, frame.entities
    except FrameError:
        return nothing  # a column is learned from that these old records do not have


def _raised(before: Detector, after: Detector) -> str:
    told = []
    if after.threshold.value != before.threshold.value:
        values = f"from {before.threshold.value:.4g} to {after.threshold.value:.4g}"
        told.append(f"the threshold was raised {values} by false alarms")
    own = sum(line.value != before.lines.own[name].value for name, line in after.lines.own.items())
    if own:
        told.append(f"those of {own} entities were raised by false alarms")
    return ", ".join(told)
