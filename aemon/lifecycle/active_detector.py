"""The active detector of one monitor, its detector on trial, and its recent records."""

import logging
import time
from datetime import datetime

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.thresholds.by_entity import Thresholds, redraw
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import ArtifactError, TrainingError
from aemon.lifecycle.cold_start import is_provisional, needed_for
from aemon.lifecycle.loaded_detector import Loaded, load, threshold_settings_of
from aemon.lifecycle.policy import Observed, is_young, why_train
from aemon.lifecycle.recent_records import RecentRecords
from aemon.lifecycle.traffic_watch import watched_by
from aemon.lifecycle.trial import Shadow, rule_on
from aemon.lifecycle.upkeep import keep_target_rate, note_drift, replace_thresholds
from aemon.logs import Action, log
from aemon.records import DriftReport, promise_is_broken
from aemon.run import Run
from aemon.store.detectors import (
    StoredDetector,
    active_detector,
    judging_detectors,
    manifest_of,
    newest_learning,
)
from aemon.store.drifts import DriftKind, end_drifts
from aemon.store.feedback import count_unused_feedback
from aemon.store.store import Store
from aemon.store.succession import reject

LOOK_SECONDS = 15.0  # between two checks for new feedback

logger = logging.getLogger(__name__)


class ActiveDetector:
    """The loaded active detector of a monitor, with the detector on trial and the recent records.

    Attributes:
        active: the active detector; None until it is loaded.
        shadow: the detector on trial; None without a trial.
        memory: the recent records; None until an active detector is loaded.
    """

    def __init__(self, name: str, settings: MonitorSettings, store: Store, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._store = store
        self._clock = clock
        self.active: Loaded | None = None
        self.shadow: Shadow | None = None
        self.memory: RecentRecords | None = None
        self._learned_by = settings.learning.fingerprint  # hash of the present settings
        self._unreadable = False
        self._needs_training = False  # whether only a training can apply the threshold settings
        self._looked_at: float | None = None  # monotonic
        self._unused_feedback = 0

    def refresh(self) -> Loaded | None:
        """Return the active detector; None if the monitor has no active detector.

        The active detector and the detector on trial are loaded only if the stored detectors have
        changed.

        Raises:
            ArtifactError: the active detector cannot be read.
            StoreError: the database fails.
        """
        stored, on_trial = judging_detectors(self._store, self._name)
        if stored is None:
            return None
        if self.active is None or self.active.stored != stored:
            recomputed = self._switch_to(self._load(stored))
            newest = active_detector(self._store, self._name) if recomputed else None
            if newest is not None:  # this run judges with the recomputed thresholds
                self._switch_to(self._load(newest))
        if on_trial is None:
            self.shadow = None
        elif self.shadow is None or self.shadow.stored != on_trial:
            self.shadow = self._load_shadow(on_trial)
        return self.active

    def _load(self, stored: StoredDetector) -> Loaded:
        try:
            loaded = load(self._store, stored)
        except ArtifactError:  # only a training can replace an unreadable detector
            self._unreadable = True
            raise
        self._unreadable = False
        return loaded

    def _load_shadow(self, on_trial: StoredDetector) -> Shadow | None:
        try:
            loaded = load(self._store, on_trial)
        except ArtifactError as error:  # the active detector continues to judge
            log(logger, logging.ERROR, Action.DETECTOR_UNREADABLE, str(error), monitor=self._name)
            reason = f"rejected: the detector cannot be read: {error}"
            reject(self._store, self._name, on_trial.id, reason)
            return None
        return Shadow(stored=on_trial, detector=loaded.detector, trained_by=loaded.trained_by)

    def _switch_to(self, loaded: Loaded) -> bool:
        """Make `loaded` the active detector; return whether its thresholds were recomputed."""
        memory = self.memory
        if memory is None or memory.detector_id != loaded.stored.id:
            memory = self.memory = RecentRecords(self._store, loaded, watched_by(self._settings))
            self._end_earlier_drifts(memory, loaded)
        base = self._thresholds_by_settings(loaded, memory)
        self._needs_training = base is None
        memory.base = base or loaded.trained
        recompute = base is not None and loaded.computed_by != self._settings.threshold
        if base is not None and recompute:
            reason = "threshold settings changed"
            replace_thresholds(self._store, loaded, base, self._settings, reason)
        self.active = loaded  # last: if new thresholds cannot be written, the next run tries again
        return recompute

    def _thresholds_by_settings(self, loaded: Loaded, memory: RecentRecords) -> Thresholds | None:
        """Compute thresholds from the scores of the training, by the present threshold settings.

        Return None if only a new training can apply the present settings.
        """
        present = self._settings.threshold
        if loaded.trained_by is None or loaded.trained_by == present:
            return loaded.trained
        if loaded.detector.mode_scale is not None:  # scores are scaled by the old thresholds
            return None
        try:
            rate = false_alarm_rate_for(present, memory.times())
        except TrainingError:  # too few records to convert an alarm budget to a rate
            return None
        entities = max(1, len(loaded.detector.feature_map.entities))
        return redraw(loaded.trained, present, rate, entities=entities)

    def _end_earlier_drifts(self, memory: RecentRecords, loaded: Loaded) -> None:
        """End the drifts that earlier detectors found, after a switch to a new active detector.

        A level shift ends only if the new detector was trained on the new level. Every other kind
        of drift ends with the switch.
        """
        earlier = [drift for drift in memory.drifts if drift.detector_id != memory.detector_id]
        known = set(loaded.shifts)
        learned = [
            drift for drift in earlier if (drift.entity, drift.started_at.isoformat()) in known
        ]
        others = [
            drift for drift in earlier if drift not in learned and drift.kind is not DriftKind.SHIFT
        ]
        name = f"detector {loaded.stored.version}"
        if learned:
            reason = f"{name} was trained on the new level"
            end_drifts(self._store, self._name, learned, reason, learned=True)
        if others:
            end_drifts(self._store, self._name, others, f"{name} became active")
        memory.drifts = [drift for drift in memory.drifts if drift not in learned + others]

    def look_after(self, run: Run) -> None:
        """Maintain the active detector after a run.

        Report drift, decide on a trial if there are enough records, and keep the target rate.

        Raises:
            StaleWatermarkError: another daemon changed the detectors meanwhile.
            StoreError: the database fails.
        """
        if self.active is None or self.memory is None:
            return
        found = note_drift(self._store, self._name, self.memory, self._settings)
        indices = self.memory.column_drift()
        drift = DriftReport(
            evidence=self.memory.life.scores.log10_grown,
            largest_index=max(indices.values(), default=None),
            open=len(self.memory.drifts),
            found=found,
            provisional=is_provisional(self.active.stored),
        )
        run.count(drift=drift, traffic=self.memory.traffic.report)
        if self.shadow is not None:
            drifted = bool(self.memory.drifts)
            active = (self.active.stored, self.active.detector)
            decision = rule_on(
                self._store, self._settings, active, self.shadow, self._clock(), drifted=drifted
            )
            run.count(ruling=decision.outcome if decision else "")
        keep_target_rate(self._store, self.active, self.memory, self._settings)

    def wants_training(self, now: datetime) -> str:
        """Return the reason for a new detector; empty if no new detector is needed.

        Raises:
            StoreError: the database fails.
        """
        return why_train(self._observed(), self._settings, now)

    def _observed(self) -> Observed:
        if self.active is None or self.memory is None:
            return Observed(unreadable=self._unreadable)
        stored, memory, life = self.active.stored, self.memory, self._settings.life
        outdated = stored.settings_hash != self._learned_by or self._needs_training
        trial_fits = self.shadow is not None and self.shadow.learned_by(self._settings)
        asks_feedback = self.shadow is None and life.retrain_on_feedback > 0
        return Observed(
            unreadable=self._unreadable,
            judging=True,
            outdated=outdated,
            # The store is queried only if the answer matters.
            settings_tried=outdated and not trial_fits and self._settings_tried(),
            on_trial=self.shadow is not None,
            trial_fits=trial_fits,
            drifts=tuple(memory.drifts),
            shifting=life.learn_shift_after is not None
            and memory.shifting(within=life.learn_shift_after),
            shifts=bool(memory.shifts),
            enough_since_drift=self._enough_since_drift(),
            provisional=is_provisional(stored),
            misled=is_young(stored.trained_from, stored.trained_until)
            and promise_is_broken(
                memory.life.flagged, memory.life.records, stored.false_alarm_rate
            ),
            training_records=stored.training_records,
            records=memory.life.records,
            state_at=stored.state_at,
            unused_feedback=self._feedback() if asks_feedback else 0,
        )

    def _settings_tried(self) -> bool:
        """Return whether the newest detector was trained with the present settings.

        Such a detector is on trial, was rejected, or was rolled back. Another training with the
        same settings would not help.
        """
        newest = newest_learning(self._store, self._name)
        if newest is None or newest[1] != self._settings.learning.fingerprint:
            return False
        if not self._needs_training:
            return True
        manifest = manifest_of(self._store, newest[0]) or {}
        return threshold_settings_of(manifest) == self._settings.threshold

    def _enough_since_drift(self) -> bool:
        if self.active is None or self.memory is None:
            return False
        # With fewer records than a training needs, the training would not learn the new level.
        columns = len(self.active.detector.feature_map.columns)
        return self.memory.life.since_drift >= needed_for(columns, self._settings)

    @property
    def feedback_waiting(self) -> int:
        """Number of feedback entries not yet used in training, as of the last check."""
        return self._unused_feedback

    def _feedback(self) -> int:
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._unused_feedback = count_unused_feedback(self._store, self._name)
        return self._unused_feedback
