"""Training a monitor's detector, and training one again from its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aemon.clock import Clock, utc_now
from aemon.config.learning_settings import LearningSettings
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import identity
from aemon.detection.arrays import Mask
from aemon.detection.detector import Detector
from aemon.detection.drift.column_drift import reference
from aemon.detection.learning import Learned, learn
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.false_alarms import AppliedFeedback, apply_feedback, at_least, cap
from aemon.errors import ArtifactError
from aemon.frame import Frame, in_time_order, rows_of
from aemon.lifecycle.detector_rows import detector_rows
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.training_records import TrainingRecords, choose_records
from aemon.reading.monitor_source import open_records
from aemon.records import DetectorState
from aemon.store.detectors import active_detector, newest_version, save_detector
from aemon.store.engine import open_engine
from aemon.store.fences import Fence, fenced
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
    on_trial: bool
    note: str  # what a person should know of the threshold; often nothing

    @property
    def sentence(self) -> str:
        """What was done, for the ledger."""
        told = f"detector {self.version} learned from {self.records} records"
        told += f", {self.told}" if self.told else ""
        told += ", and is on trial" if self.on_trial else ""
        return f"{told}; its threshold is {self.note}" if self.note else told


def train_once(
    name: str,
    settings: MonitorSettings,
    store: Store,
    clock: Clock,
    *,
    why: str = "a person",
    trial: bool = False,
) -> Trained:
    """Train a detector on normal records, and store it.

    It becomes the active one, or with `trial` a shadow of the one that is, if that can be read.

    The first detector learns from the source's first `min_records` records (or, with
    `start: now`, from the newest), and the watermark is put behind them: every later record is
    judged. A later one learns from the newest records that have been judged already, so that it
    never learns from what it is about to judge. Feedback is taken up, see `choose_records` and
    `apply_feedback`.

    Raises:
        TrainingError: there are too few records, or nothing can be learned from them.
        StaleWatermarkError: another daemon has trained a detector meanwhile.
        AemonError: the source or the store is at fault.
    """
    after = newest_version(store, name)
    source = open_records(name, settings, store, clock)
    try:
        chosen = choose_records(name, settings, store, source)
    finally:
        source.close()
    learned = learn(chosen.frame, settings.learning, settings.detector.seed)
    called_normal = rows_of(learned.records, chosen.false_alarms.identities)
    applied = apply_feedback(learned, called_normal, chosen.false_alarms, chosen.confirmed)
    detector = applied.detector
    manifest = _manifest(settings, chosen, learned, called_normal, applied)
    new = detector_rows(detector, chosen.watermark, identity(settings.source))
    new = replace(
        new,
        columns={**new.columns, "manifest": manifest},
        applied=chosen.applied,
        asked_by=why,
        on_trial=trial and _judges(name, store),
    )
    saved = save_detector(store, name, new, after=after)
    return Trained(
        id=saved.id,
        threshold_id=saved.threshold_id,
        version=saved.version,
        records=len(chosen.frame),
        excluded=sum(len(pairs) for pairs in chosen.left_out.values()),
        told=", ".join(filter(None, (chosen.told, _raised(applied)))),
        seconds=detector.provenance.seconds,
        validation_error=detector.provenance.validation_error,
        threshold=detector.threshold.value,
        on_trial=saved.state is DetectorState.SHADOW,
        note=detector.thresholds.note,
    )


def _manifest(
    settings: MonitorSettings,
    chosen: TrainingRecords,
    learned: Learned,
    called_normal: Mask,
    applied: AppliedFeedback,
) -> dict[str, Any]:
    """What a detector was learned from, and how: enough to train it again."""
    return {
        "settings": settings.learning.model_dump(mode="json"),
        "source": identity(settings.source),
        "read": chosen.read.as_json(),
        "rejected": chosen.rejected,
        "left_out": chosen.left_out,
        "brought_back": chosen.brought_back,
        "called_normal": learned.records.take(called_normal).identities,
        "feedback": list(chosen.spoken),
        "shifts": [[one.entity, one.started_at.isoformat()] for one in chosen.shifts],
        "reference": reference(in_time_order(chosen.frame), learned.feature_map).as_json(),
        "lines": {
            "without_feedback": threshold_values(applied.without),
            "drawn": threshold_values(applied.detector.thresholds),
        },
    }


def train_in_worker(
    name: str, settings: MonitorSettings, store_url: str, why: str, fence: Fence | None = None
) -> Trained:
    """`train_once` for another process: it opens its own store, with the system clock.

    Raises:
        LostLeaseError: the monitor has gone to another replica meanwhile.
        AemonError: as `train_once`.
    """
    store = fenced(Store(open_engine(store_url), utc_now), fence)
    try:
        return train_once(name, settings, store, utc_now, why=why, trial=settings.life.trial)
    finally:
        store.close()


def _judges(name: str, store: Store) -> bool:
    """Whether there is an active detector that can be read: beside no other there is a trial."""
    active = active_detector(store, name)
    if active is None:
        return False
    try:
        load(store, active)
    except ArtifactError:
        return False
    return True


def learn_again(frame: Frame, manifest: Mapping[str, Any], seed: int) -> Detector:
    """The detector a manifest tells of, from the same records.

    From other records, it is the one that those make: lines drawn for the first ones would be
    wrong for it.

    Raises:
        TrainingError: nothing can be learned from these records.
    """
    learned = learn(frame, LearningSettings.model_validate(manifest["settings"]), seed)
    named = [(entity, key) for entity, key in manifest["called_normal"]]
    capped, without = cap(learned, rows_of(learned.records, named))
    thresholds = learned.thresholds(capped)
    if threshold_values(without) != manifest["lines"]["without_feedback"]:
        return learned.detector(thresholds)
    drawn = manifest["lines"]["drawn"]
    own = {
        name: at_least(threshold, drawn["own"][name]) for name, threshold in thresholds.own.items()
    }
    return learned.detector(
        replace(thresholds, pooled=at_least(thresholds.pooled, drawn["pooled"]), own=own)
    )


def threshold_values(thresholds: Thresholds) -> dict[str, Any]:
    """Every line, for a manifest."""
    own = {name: threshold.value for name, threshold in thresholds.own.items()}
    return {"pooled": thresholds.pooled.value, "own": own}


def _raised(applied: AppliedFeedback) -> str:
    before, after = applied.without, applied.detector.thresholds
    told = []
    if after.pooled.value > before.pooled.value:
        values = f"from {before.pooled.value:.4g} to {after.pooled.value:.4g}"
        told.append(f"false alarms raised the threshold {values}")
    own = sum(
        threshold.value > before.own[name].value
        for name, threshold in after.own.items()
        if name in before.own
    )
    if own:
        told.append(f"false alarms raised those of {own} entities")
    return ", ".join(told)
