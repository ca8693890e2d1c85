"""Trains the detector of a monitor, and trains a detector again from its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aemon.clock import Clock, utc_now
from aemon.config.learning_settings import LearningSettings
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import identity
from aemon.config.values.addresses import public_address
from aemon.detection.arrays import Mask
from aemon.detection.detector import Detector
from aemon.detection.drift.column_drift import reference
from aemon.detection.learning import Learned, learn
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.false_alarms import at_least, cap, without_false_alarms
from aemon.detection.thresholds.hindsight import MOST_SHARE
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import ArtifactError, StoreError
from aemon.frame import Frame, in_time_order, rows_of
from aemon.lifecycle.detector_rows import detector_rows
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.training_records import TrainingRecords, choose_records
from aemon.reading.monitor_source import open_records
from aemon.records import DetectorState, Identity
from aemon.store.detectors import active_detector, newest_version, save_detector
from aemon.store.engine import open_engine
from aemon.store.fences import Fence, fenced
from aemon.store.schema.revisions import is_file_missing
from aemon.store.store import Store

ROUNDS = 3
"""Number of searches for unusual records; each search leaves out the records found before."""

BY_HAND = "a person"
"""The stored reason of a training that a person asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The result of a training: the stored detector, in numbers and words."""

    id: int
    threshold_id: int
    version: int
    records: int
    excluded: int  # records that were left out: flagged, confirmed or ignored
    summary: str  # records left out and brought back; often empty
    seconds: float
    validation_error: float
    threshold: float
    on_trial: bool
    seen: str  # how records are judged together; empty if each record is judged alone
    note: str  # notable facts about the threshold; often empty

    @property
    def sentence(self) -> str:
        """Description of the training, as one sentence for the ledger."""
        text = f"detector {self.version} was trained on {self.records} records"
        text += f", {self.summary}" if self.summary else ""
        text += ", and is on trial" if self.on_trial else ""
        text += f"; {self.seen}" if self.seen else ""
        return f"{text}; its threshold is {self.note}" if self.note else text


def train_once(
    name: str,
    settings: MonitorSettings,
    store: Store,
    clock: Clock,
    *,
    why: str = BY_HAND,
    trial: bool = False,
) -> Trained:
    """Train a detector on normal records, and store the detector.

    The new detector becomes active. With `trial`, the detector is on trial instead, if an active
    detector exists and can be read.

    The first training uses the existing records and puts the watermark after these records, so
    that every later record is judged. The first scoring run judges the unusual records among the
    existing records. A later training uses only judged records. Feedback is used as described in
    `choose_records`.

    Raises:
        TrainingError: there are too few records, or a detector cannot be trained on the records.
        StaleWatermarkError: another daemon has trained a detector meanwhile.
        AemonError: the source or the store fails.
    """
    after = newest_version(store, name)
    source = open_records(name, settings, store, clock)
    try:
        chosen = choose_records(name, settings, store, source, by_hand=why == BY_HAND)
    finally:
        source.close()
    chosen, learned = _learn(chosen, settings)
    called_normal = rows_of(learned.records, chosen.false_alarms.identities)
    detector = learned.detector(without_false_alarms(learned, called_normal))
    manifest = _manifest(settings, chosen, learned, called_normal, detector.thresholds)
    new = detector_rows(detector, chosen.watermark, identity(settings.source))
    new = replace(
        new,
        columns={**new.columns, "manifest": manifest},
        applied=chosen.applied,
        asked_by=why,
        on_trial=trial and not chosen.broken and _judges(name, store),
    )
    saved = save_detector(store, name, new, after=after)
    return Trained(
        id=saved.id,
        threshold_id=saved.threshold_id,
        version=saved.version,
        records=len(learned.training_frame),
        excluded=sum(len(pairs) for pairs in chosen.left_out.values()),
        summary=chosen.summary,
        seconds=detector.provenance.seconds,
        validation_error=detector.provenance.validation_error,
        threshold=detector.threshold.value,
        on_trial=saved.state is DetectorState.SHADOW,
        seen=detector.summary,
        note=detector.thresholds.note,
    )


def _learn(chosen: TrainingRecords, settings: MonitorSettings) -> tuple[TrainingRecords, Learned]:
    """Train a detector; leave out unusual records if no detector has judged the records.

    The most unusual records can hide other unusual records, so the search is repeated without the
    records found before.
    """
    seed, frame = settings.detector.seed, chosen.frame
    rate = false_alarm_rate_for(settings.threshold, chosen.times)
    learned = learn(frame, settings.learning, seed, rate=rate)
    if chosen.watermark is None and not chosen.broken:
        return chosen, learned
    unusual: list[Identity] = []
    most = MOST_SHARE * len(learned.training_frame)
    for _ in range(ROUNDS):
        unusual += learned.unusual.identities
        if not len(learned.unusual) or len(unusual) > most:
            break
        chosen = chosen.without_unusual(unusual)
        learned = learn(chosen.frame, settings.learning, seed, rate=rate)
    return chosen, learned


def _manifest(
    settings: MonitorSettings,
    chosen: TrainingRecords,
    learned: Learned,
    called_normal: Mask,
    thresholds: Thresholds,
) -> dict[str, Any]:
    """Return the manifest of a detector: all data needed to train the detector again."""
    return {
        "settings": settings.learning.model_dump(mode="json"),
        "source": identity(settings.source),
        "read": chosen.read.as_json(),
        "rejected": chosen.rejected,
        "left_out": chosen.left_out,
        "brought_back": chosen.brought_back,
        "called_normal": learned.records.take(called_normal).identities,
        "feedback": list(chosen.feedback),
        "shifts": [[shift.entity, shift.started_at.isoformat()] for shift in chosen.shifts],
        "reference": reference(
            in_time_order(learned.training_frame), learned.feature_map
        ).as_json(),
        "rate": learned.rate,
        "traffic": chosen.traffic.as_json(),
        "lines": {
            "without_feedback": threshold_values(thresholds),
            "drawn": threshold_values(thresholds),
        },
    }


def train_in_worker(
    name: str, settings: MonitorSettings, store_url: str, why: str, fence: Fence | None = None
) -> Trained:
    """Run `train_once` in a worker process, with a new store connection and the system clock.

    Raises:
        LostLeaseError: the monitor has moved to another replica meanwhile.
        StoreError: the store's file was deleted.
        AemonError: the training, the source or the store fails.
    """
    engine = open_engine(store_url)
    if is_file_missing(engine):  # a connection would create an empty file
        raise StoreError(f"the store {public_address(engine.url)} is gone", todo="restore its file")
    store = fenced(Store(engine, utc_now), fence)
    try:
        return train_once(name, settings, store, utc_now, why=why, trial=settings.life.trial)
    finally:
        store.close()


def _judges(name: str, store: Store) -> bool:
    """Return whether the active detector can be read; a trial compares with this detector."""
    active = active_detector(store, name)
    if active is None:
        return False
    try:
        load(store, active)
    except ArtifactError:
        return False
    return True


def learn_again(frame: Frame, manifest: Mapping[str, Any], seed: int) -> Detector:
    """Train a detector again by its manifest.

    If the records differ from the records of the first training, the thresholds are computed from
    the given records, because the stored thresholds would be wrong for these records.

    Args:
        frame: the training records.
        manifest: manifest of the first training.
        seed: seed of the first training.

    Raises:
        TrainingError: a detector cannot be trained on these records.
    """
    noted = manifest["settings"]
    # A manifest without these keys is from a version that judged each record alone.
    detector = {"window": 1, "seasons": False, **noted["detector"]}
    settings = LearningSettings.model_validate({**noted, "detector": detector})
    learned = learn(frame, settings, seed, rate=manifest.get("rate"))
    named = [(entity, key) for entity, key in manifest["called_normal"]]
    capped, without = cap(learned, rows_of(learned.records, named))
    thresholds = learned.thresholds(capped)
    before, final = manifest["lines"]["without_feedback"], manifest["lines"]["drawn"]
    if before == final:
        return learned.detector(without)
    if threshold_values(without) != before:
        return learned.detector(thresholds)
    own = {
        name: at_least(threshold, final["own"][name]) for name, threshold in thresholds.own.items()
    }
    return learned.detector(
        replace(thresholds, pooled=at_least(thresholds.pooled, final["pooled"]), own=own)
    )


def threshold_values(thresholds: Thresholds) -> dict[str, Any]:
    """Return the values of all thresholds as JSON values for a manifest."""
    own = {name: threshold.value for name, threshold in thresholds.own.items()}
    return {"pooled": thresholds.pooled.value, "own": own}
