"""Training a monitor's detector, and training one again from its manifest."""

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
"""How often records that stand out are looked for, each time without those found before."""

BY_HAND = "a person"
"""Who asks for a training, where nobody else does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training made."""

    id: int
    threshold_id: int
    version: int
    records: int
    excluded: int  # records that were left out: flagged, confirmed or ignored
    summary: str  # what was left out and brought back, in plain words; often nothing
    seconds: float
    validation_error: float
    threshold: float
    on_trial: bool
    seen: str  # how it sees records; nothing where each is seen alone
    note: str  # what a person should know of the threshold; often nothing

    @property
    def sentence(self) -> str:
        """What was done, for the ledger."""
        told = f"detector {self.version} learned from {self.records} records"
        told += f", {self.summary}" if self.summary else ""
        told += ", and is on trial" if self.on_trial else ""
        told += f"; {self.seen}" if self.seen else ""
        return f"{told}; its threshold is {self.note}" if self.note else told


def train_once(
    name: str,
    settings: MonitorSettings,
    store: Store,
    clock: Clock,
    *,
    why: str = BY_HAND,
    trial: bool = False,
) -> Trained:
    """Train a detector on normal records, and store it.

    It becomes the active one, or with `trial` a shadow of the one that is, if that can be read.

    The first detector learns from the records there are, and the watermark is put behind them:
    every later record is judged. Which of them stand out, the first scoring run tells. A later one learns from the newest records that have been judged already, so that it
    never learns from what it is about to judge. Feedback is taken up, see `choose_records`.

    Raises:
        TrainingError: there are too few records, or nothing can be learned from them.
        StaleWatermarkError: another daemon has trained a detector meanwhile.
        AemonError: the source or the store is at fault.
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
        records=len(learned.taught),
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
    """Learn; where nobody has judged the records, without those that stand out from the others.

    What stands out most hides the rest: it is looked for again once that is left out.
    """
    seed, frame = settings.detector.seed, chosen.frame
    rate = false_alarm_rate_for(settings.threshold, chosen.times)
    learned = learn(frame, settings.learning, seed, rate=rate)
    if chosen.watermark is None and not chosen.broken:
        return chosen, learned
    odd: list[Identity] = []
    most = MOST_SHARE * len(learned.taught)
    for _ in range(ROUNDS):
        odd += learned.odd.identities
        if not len(learned.odd) or len(odd) > most:
            break
        chosen = chosen.without_unusual(odd)
        learned = learn(chosen.frame, settings.learning, seed, rate=rate)
    return chosen, learned


def _manifest(
    settings: MonitorSettings,
    chosen: TrainingRecords,
    learned: Learned,
    called_normal: Mask,
    drawn: Thresholds,
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
        "reference": reference(in_time_order(learned.taught), learned.feature_map).as_json(),
        "rate": learned.rate,
        "traffic": chosen.traffic.as_json(),
        "lines": {
            "without_feedback": threshold_values(drawn),
            "drawn": threshold_values(drawn),
        },
    }


def train_in_worker(
    name: str, settings: MonitorSettings, store_url: str, why: str, fence: Fence | None = None
) -> Trained:
    """`train_once` for another process: it opens its own store, with the system clock.

    Raises:
        LostLeaseError: the monitor has gone to another replica meanwhile.
        StoreError: the store's file was deleted.
        AemonError: as `train_once`.
    """
    engine = open_engine(store_url)
    if is_file_missing(engine):  # a connection would make an empty one
        raise StoreError(
            f"the store {public_address(engine.url)} is gone", todo="put its file back"
        )
    store = fenced(Store(engine, utc_now), fence)
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
    noted = manifest["settings"]
    # An aemon that had no windows, or by default none, judged each record alone.
    detector = {"window": 1, "seasons": False, **noted["detector"]}
    settings = LearningSettings.model_validate({**noted, "detector": detector})
    learned = learn(frame, settings, seed, rate=manifest.get("rate"))
    named = [(entity, key) for entity, key in manifest["called_normal"]]
    capped, without = cap(learned, rows_of(learned.records, named))
    thresholds = learned.thresholds(capped)
    before, drawn = manifest["lines"]["without_feedback"], manifest["lines"]["drawn"]
    if before == drawn:
        return learned.detector(without)
    if threshold_values(without) != before:
        return learned.detector(thresholds)
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
