"""The detectors that judge for one monitor: the active one, its shadow, and what they remember."""

import logging
import time
from datetime import datetime

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.thresholds.by_entity import Thresholds, redraw
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import ArtifactError, TrainingError
from aemon.lifecycle.cold_start import is_provisional, needed_for
from aemon.lifecycle.loaded_detector import Loaded, drawn_by_settings, load
from aemon.lifecycle.policy import Observed, is_young, why_train
from aemon.lifecycle.recent_records import RecentRecords
from aemon.lifecycle.traffic_watch import watched_by
from aemon.lifecycle.trial import Shadow, rule_on
from aemon.lifecycle.upkeep import draw, keep_promise, note_drift
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

LOOK_SECONDS = 15.0  # between two looks for new feedback

logger = logging.getLogger(__name__)


class ActiveDetector:
    """Loads detectors when they change, and looks after them when a run is over."""

    def __init__(self, name: str, settings: MonitorSettings, store: Store, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._store = store
        self._clock = clock
        self.active: Loaded | None = None
        self.shadow: Shadow | None = None
        self.memory: RecentRecords | None = None
        self._learned_by = settings.learning.fingerprint  # asked for at every tick
        self._unreadable = False
        self._needs_training = False  # only that can draw lines as the settings want
        self._looked_at: float | None = None  # monotonic
        self._unused_feedback = 0

    def refresh(self) -> Loaded | None:
        """The active detector; it and its shadow are loaded anew only when they changed.

        Raises:
            ArtifactError: it cannot be read.
            StoreError: the database fails.
        """
        stored, on_trial = judging_detectors(self._store, self._name)
        if stored is None:
            return None
        if self.active is None or self.active.stored != stored:
            others = self._take_up(self._load(stored))
            drawn = active_detector(self._store, self._name) if others else None
            if drawn is not None:  # what is judged now is judged by the lines just drawn
                self._take_up(self._load(drawn))
        if on_trial is None:
            self.shadow = None
        elif self.shadow is None or self.shadow.stored != on_trial:
            self.shadow = self._load_shadow(on_trial)
        return self.active

    def _load(self, stored: StoredDetector) -> Loaded:
        try:
            loaded = load(self._store, stored)
        except ArtifactError:  # unlike a store that is away, only a training helps
            self._unreadable = True
            raise
        self._unreadable = False
        return loaded

    def _load_shadow(self, on_trial: StoredDetector) -> Shadow | None:
        try:
            loaded = load(self._store, on_trial)
        except ArtifactError as error:  # the active one judges on, and another can be trained
            log(logger, logging.ERROR, Action.DETECTOR_UNREADABLE, str(error), monitor=self._name)
            reject(self._store, self._name, on_trial.id, f"rejected: it cannot be read: {error}")
            return None
        return Shadow(stored=on_trial, detector=loaded.detector, trained_by=loaded.trained_by)

    def _take_up(self, loaded: Loaded) -> bool:
        """Judge with a detector, or with new lines, from now on; whether others were drawn."""
        memory = self.memory
        if memory is None or memory.detector_id != loaded.stored.id:
            memory = self.memory = RecentRecords(self._store, loaded, watched_by(self._settings))
            self._end_earlier_drifts(memory, loaded)
        base = self._thresholds_by_settings(loaded, memory)
        self._needs_training = base is None
        memory.base = base or loaded.trained
        others = base is not None and loaded.drawn_by != self._settings.threshold
        if base is not None and others:
            draw(self._store, loaded, base, self._settings, "threshold settings changed")
        self.active = loaded  # not before: lines that could not be drawn are drawn by the next run
        return others

    def _thresholds_by_settings(self, loaded: Loaded, memory: RecentRecords) -> Thresholds | None:
        """The lines of the training as today's settings draw them; None if only a new one can."""
        wanted = self._settings.threshold
        if loaded.trained_by is None or loaded.trained_by == wanted:
            return loaded.trained
        if loaded.detector.mode_scale is not None:  # of the thresholds of before
            return None
        try:
            rate = false_alarm_rate_for(wanted, memory.times())
        except TrainingError:  # a budget, and too few records to say how many come a day
            return None
        entities = max(1, len(loaded.detector.feature_map.entities))
        return redraw(loaded.trained, wanted, rate, entities=entities)

    def _end_earlier_drifts(self, memory: RecentRecords, loaded: Loaded) -> None:
        """What life has moved away from judges no more."""
        earlier = [drift for drift in memory.drifts if drift.detector_id != memory.detector_id]
        known = set(loaded.shifts)
        learned = [one for one in earlier if (one.entity, one.started_at.isoformat()) in known]
        others = [one for one in earlier if one not in learned and one.kind is not DriftKind.SHIFT]
        told = f"detector {loaded.stored.version}"
        if learned:
            end_drifts(self._store, self._name, learned, f"{told} has learned it", learned=True)
        if others:
            end_drifts(self._store, self._name, others, f"{told} took over")
        memory.drifts = [one for one in memory.drifts if one not in learned + others]

    def look_after(self, run: Run) -> None:
        """After a run: keep the promise, tell of drift, and rule on a trial.

        Raises:
            StaleWatermarkError: another daemon did so meanwhile.
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
            run.count(ruling=decision.ruling if decision else "")
        keep_promise(self._store, self.active, self.memory, self._settings)

    def wants_training(self, now: datetime) -> str:
        """Return what asks for a new detector, and why; empty if nothing does.

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
            # The store is asked only where the answer decides.
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
        """Whether the newest detector was trained by today's settings.

        Then it is on trial, or was rejected, or somebody rolled back: another would be the same.
        """
        newest = newest_learning(self._store, self._name)
        if newest is None or newest[1] != self._settings.learning.fingerprint:
            return False
        if not self._needs_training:
            return True
        manifest = manifest_of(self._store, newest[0]) or {}
        return drawn_by_settings(manifest) == self._settings.threshold

    def _enough_since_drift(self) -> bool:
        if self.active is None or self.memory is None:
            return False
        # As many as the training asks for: with fewer it would learn no new level, again and again.
        columns = len(self.active.detector.feature_map.columns)
        return self.memory.life.since_drift >= needed_for(columns, self._settings)

    @property
    def feedback_waiting(self) -> int:
        """How many things were said that no training has taken up, when it was last looked."""
        return self._unused_feedback

    def _feedback(self) -> int:
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._unused_feedback = count_unused_feedback(self._store, self._name)
        return self._unused_feedback
