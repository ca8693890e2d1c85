"""The trial of a detector: the detector judges beside the active detector until a rule decides."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from math import isclose
from typing import Any

import numpy as np

from aemon.config.schema import MonitorSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Mask
from aemon.detection.judgement import Judgement, Judging
from aemon.detection.past import Past
from aemon.detection.promotion import Decision, Evidence, TrialOutcome
from aemon.errors import FrameError
from aemon.frame import Frame
from aemon.lifecycle.feedback_frames import last_feedback, only, stored_records
from aemon.lifecycle.policy import outcome_of_trial, stage_of
from aemon.logs import Action, log
from aemon.records import FeedbackVerdict
from aemon.store.detectors import StoredDetector
from aemon.store.feedback import read_feedback
from aemon.store.store import Commit, Store
from aemon.store.succession import COUNTS, Step, begin_trial, find_trial, note_step, promote, reject

MOST_ROWS = 1_000  # flagged records that a trial stores for one commit

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class Shadow:
    """A loaded detector on trial.

    Attributes:
        stored: stored row of the detector.
        detector: the detector.
        trained_by: threshold settings of the training; None if they were not stored.
        unfit: why the records do not fit the detector; empty if the records fit.
        past: context from the records judged before.
    """

    stored: StoredDetector
    detector: Judging
    trained_by: ThresholdSettings | None = None
    unfit: str = ""
    past: Past = field(default_factory=Past)

    def learned_by(self, settings: MonitorSettings) -> bool:
        """Return whether the detector on trial was trained with these settings."""
        same = self.stored.settings_hash == settings.learning.fingerprint
        return same and self.trained_by in (None, settings.threshold)

    def judge(self, frame: Frame, *, behind: bool = False) -> Judgement | None:
        """Return the judgement of the detector on trial; None if the records do not fit.

        The trial ends if the records do not fit the detector.

        Args:
            frame: the records.
            behind: whether the records lie before the watermark; `past` is then not their context.
        """
        try:
            return self.detector.look(frame, None if behind else self.past).judgement
        except FrameError as error:
            self.unfit = error.message
            return None

    def adopt(self, judged: Judgement | None) -> None:
        """Keep the context of committed records for the next records."""
        if judged is not None:
            self.past = judged.past

    def record(
        self, commit: Commit, frame: Frame, active: Judgement, judged: Judgement | None, rows: Mask
    ) -> None:
        """Store the results of both detectors for some of N records.

        Args:
            commit: the commit that writes the verdicts.
            frame: the N records.
            active: judgement of the active detector, without suppression.
            judged: judgement of the detector on trial; None if the records do not fit this
                detector.
            rows: (N,) mask of the records to count: records judged for the first time that are
                not absent, not idle, and not in a maintenance period or a snoozed period.
        """
        if judged is None:
            return
        seen = rows & ~judged.unjudged
        flagged, by_active = judged.anomalous & seen, active.anomalous & seen
        critical = active.critical & seen
        shown = np.flatnonzero(flagged | by_active)[:MOST_ROWS]
        verdicts: list[dict[str, Any]] = [
            {
                "record_key": frame.keys[row],
                "entity": frame.entities[row],
                "event_time": frame.aware_time(row),
                "exceedance": float(judged.exceedances[row]),
                "active_exceedance": float(active.exceedances[row]),
            }
            for row in shown.tolist()
        ]
        step = Step(
            records=int(seen.sum()),
            flagged=int(flagged.sum()),
            flagged_by_active=int(by_active.sum()),
            flagged_by_both=int((flagged & by_active).sum()),
            critical_by_active=int(critical.sum()),
            critical_kept=int((critical & flagged).sum()),
            verdicts=verdicts,
        )
        note_step(commit.connection, self.stored.id, step, commit.store.now())


def rule_on(
    store: Store,
    settings: MonitorSettings,
    active: tuple[StoredDetector, Judging],
    shadow: Shadow,
    now: datetime,
    *,
    drifted: bool,
) -> Decision | None:
    """Decide on a monitor's trial if there are enough records, and carry out the decision.

    Args:
        store: the results database, which has the counts of the trial.
        settings: settings of the monitor.
        active: the active detector: stored row and loaded detector.
        shadow: the detector on trial.
        now: aware UTC.
        drifted: whether the active detector has drift that has not ended.

    Returns:
        The decision; None while the trial continues.

    Raises:
        StaleWatermarkError: the detectors changed meanwhile.
        StoreError: the database fails.
    """
    name = shadow.stored.monitor
    trial = find_trial(store, shadow.stored.id)
    if trial is None and not shadow.unfit:
        # Without counts the trial would have no end, and would block every training.
        with store.writing() as connection:
            begin_trial(connection, shadow.stored.id, active[0].id, store.now())
        return None
    rate = shadow.stored.false_alarm_rate
    records, began_at = (trial.records, trial.began_at) if trial else (0, now)
    alike = active[0].settings_hash == shadow.stored.settings_hash
    asked_for = not alike or not isclose(rate, active[0].false_alarm_rate)
    stage = stage_of(records, began_at, rate, settings.life, now, asked_for=asked_for)
    evidence = None
    if trial is not None and stage.ripe and not shadow.unfit:  # only then needed
        confirmed, lost = _confirmed(store, name, active[1], shadow.detector)
        evidence = Evidence(
            **{count: getattr(trial, count) for count in COUNTS},
            rate=rate,
            error=shadow.stored.validation_error,
            active_error=active[0].validation_error,
            confirmed=confirmed,
            confirmed_lost=lost,
            drifted=drifted,
            alike=alike,
            asked_for=asked_for,
        )
    decision = outcome_of_trial(evidence, stage, unfit=shadow.unfit)
    if decision is not None:
        _carry_out(store, name, active[0], shadow, decision)
    return decision


def _carry_out(
    store: Store, name: str, active: StoredDetector, shadow: Shadow, decision: Decision
) -> None:
    """Promote or reject the detector on trial."""
    of, reason = shadow.stored, decision.reason
    if decision.outcome is TrialOutcome.PROMOTE:
        promote(store, name, of.id, reason, instead_of=active.id)
        level, action = logging.INFO, Action.DETECTOR_PROMOTED
    else:
        reject(store, name, of.id, reason)
        level, action = logging.WARNING, Action.DETECTOR_REJECTED
    log(logger, level, action, reason, monitor=name, version=of.version)


def _confirmed(store: Store, name: str, active: Judging, shadow: Judging) -> tuple[int, int]:
    """Return two numbers of confirmed anomalies.

    Returns:
        The number that the active detector flags; of these, the number that the detector on trial
        does not flag. (0, 0) if the stored records lack columns that are judged now.
    """
    entries = read_feedback(store, name)
    find = last_feedback(entries)
    kept = stored_records(name, store, entries, find)
    frame = only(kept, find, FeedbackVerdict.CONFIRMED)
    if not len(frame):
        return 0, 0
    try:
        caught = active.judge(frame).anomalous
        lost = caught & ~shadow.judge(frame).anomalous
    except FrameError:  # these old records do not have all columns that are judged now
        return 0, 0
    return int(caught.sum()), int(lost.sum())
