"""Decisions about detectors, as pure functions of observations, settings and time.

No function of this module reads or writes the store. The modules `active_detector`, `upkeep` and
`trial` make observations, call these functions, and carry out the decisions. A backtest calls the
same functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from aemon.clock import format_duration, is_wrong
from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.schema import MonitorSettings
from aemon.config.values.cron import is_due
from aemon.detection.drift.column_drift import Reference, drifted_columns
from aemon.detection.drift.observed_history import ObservedHistory
from aemon.detection.promotion import Decision, Evidence, TrialOutcome, decide, least_records
from aemon.detection.promotion import trial_records as records_of_a_trial
from aemon.detection.promotion import unfit as ruled_unfit
from aemon.errors import Remedy
from aemon.store.drifts import Drift, DriftKind

SHIFT_RECORDS = 50
"""Least number of records at a new level before the level counts as lasting."""

SHIFT_TIME = timedelta(days=1)
"""Least duration of a new level before the level counts as lasting, if none is configured."""

SETTLED = 0.1
"""Population stability index (PSI) below which the drift of a column has ended.

The limit at which a drift begins is higher. Between the two limits, a drift neither begins nor
ends.
"""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=1)
"""First and longest pause after a failed training; each further failure doubles the pause."""

LONGEST_WAIT = timedelta(minutes=10)
"""Longest pause after a training without enough records, because more records may arrive."""

WHOLE_RHYTHMS = timedelta(days=2)
"""Least length of training data that shows a daily pattern: each hour of the day occurs twice."""


def is_young(trained_from: datetime, trained_until: datetime) -> bool:
    """Return whether the training records of a detector cover less than two days."""
    return trained_until - trained_from < WHOLE_RHYTHMS


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The observations of a monitor for the decision whether to train a detector.

    Attributes:
        unreadable: whether the stored detector cannot be read.
        judging: whether a detector is active; without an active detector, the following
            attributes have their defaults.
        outdated: whether the active detector or its thresholds were made with settings that differ
            from the present settings.
        settings_tried: whether the newest detector was trained with the present settings.
        on_trial: whether a detector is on trial.
        trial_fits: whether the detector on trial was trained with the present settings.
        drifts: drifts that have not ended, the oldest first.
        shifting: whether an entity is in a flagged period that may be the start of a new level.
        shifts: whether a new level was reported as drift.
        enough_since_drift: whether enough records for a training arrived since the drift.
        provisional: whether the threshold has too few calibration records to show the target rate.
        misled: whether the active detector was trained on less than two days, and flags far more
            records than the target rate allows.
        training_records: number of training records of the active detector.
        records: number of records that the active detector judged.
        state_at: time at which the detector became active; None without an active detector.
        unused_feedback: number of feedback entries not yet used in training.
    """

    unreadable: bool = False
    judging: bool = False
    outdated: bool = False
    settings_tried: bool = False
    on_trial: bool = False
    trial_fits: bool = False
    drifts: Sequence[Drift] = ()
    shifting: bool = False
    shifts: bool = False
    enough_since_drift: bool = False
    provisional: bool = False
    misled: bool = False
    training_records: int = 0
    records: int = 0
    state_at: datetime | None = None
    unused_feedback: int = 0


def why_train(observed: Observed, settings: MonitorSettings, now: datetime) -> str:
    """Return the most urgent reason for a new detector; empty if there is none.

    Args:
        observed: the observations.
        settings: settings of the monitor.
        now: aware UTC.
    """
    return next(_reasons(observed, settings, now), "")


def _reasons(observed: Observed, settings: MonitorSettings, now: datetime) -> Iterator[str]:
    life = settings.life
    if observed.unreadable:
        yield "unreadable: the stored detector cannot be read"
    if not observed.judging:
        return
    if observed.outdated and not observed.trial_fits and not observed.settings_tried:
        yield "settings: they changed since the last training"
    if observed.on_trial:
        return  # the detector on trial may be the detector that is needed
    learned = [drift for drift in observed.drifts if _is_learned(drift, life)]
    if life.retrain_on_drift and learned and observed.enough_since_drift:
        yield f"drift: {learned[-1].reason}"
    grown = observed.records >= observed.training_records
    if observed.misled and grown and life.learn_shift_after is not None:
        yield (
            "growth: far more records are flagged than the target rate allows, and the training "
            "covered less than two days"
        )
    if observed.provisional and grown:
        yield "growth: there are twice as many records as the provisional detector was trained on"
    if _is_old(observed, settings, now) and not _is_undecided(observed, life):
        yield "schedule: the detector is old enough"
    if life.retrain_on_feedback and observed.unused_feedback >= life.retrain_on_feedback:
        yield f"feedback: {observed.unused_feedback} entries not yet used in training"


def _is_learned(drift: Drift, life: LifecycleSettings) -> bool:
    return drift.kind is not DriftKind.SHIFT or life.learn_shift_after is not None


def _is_old(observed: Observed, settings: MonitorSettings, now: datetime) -> bool:
    zone = ZoneInfo(settings.timezone)
    at = observed.state_at
    return at is not None and is_due(settings.train_every, at, now, zone)


def _is_undecided(observed: Observed, life: LifecycleSettings) -> bool:
    """Return whether a flagged period may be the start of a level that is still to be learned.

    A scheduled training waits for this decision. An earlier training would leave the level out, or
    use only a part of the level's records.
    """
    known = observed.shifts and observed.enough_since_drift
    return life.learn_shift_after is not None and observed.shifting and not known


def pause_after(failures: int, remedy: Remedy | None = None) -> timedelta:
    """Return the pause after a failed training.

    Args:
        failures: number of consecutive failed trainings before this training.
        remedy: remedy of the training's error; None if the training ended without an error, for
            example by a timeout.
    """
    longest = LONGEST_WAIT if remedy is Remedy.WAIT else LONGEST_RETRY
    pause: timedelta = FIRST_RETRY * 2 ** min(failures, 10)
    return min(longest, pause)


def drifts_found(
    history: ObservedHistory,
    reference: Reference | None,
    indices: Mapping[str, float],
    since: datetime,
    life: LifecycleSettings,
) -> list[Drift]:
    """Return all present drifts of scores, columns and levels, both known and new.

    Args:
        history: history of the records that the detector judged.
        reference: distributions of the columns in training; None if unknown.
        indices: column -> population stability index.
        since: latest possible start of a drift of scores or columns.
        life: lifecycle settings of the monitor.
    """
    found = []
    if history.scores.has_grown():
        found.append(
            Drift(
                kind=DriftKind.SCORES,
                started_at=since,
                measure=history.scores.log10_grown,
                reason="records have become more unusual than the training records",
            )
        )
    if reference is not None:
        found += [
            Drift(
                kind=DriftKind.COLUMN,
                feature=column,
                started_at=since,
                measure=indices[column],
                reason=f"the distribution of {column} differs from the training records "
                f"(PSI {indices[column]:.2f})",
            )
            for column in drifted_columns(reference, indices)
        ]
    least = life.learn_shift_after or SHIFT_TIME
    for entity, shift in history.shifts.items():
        if shift.stays(SHIFT_RECORDS, least) and shift.since and shift.until:
            owner = f"of {entity} " if entity else ""
            lasted = format_duration(_whole_minutes(shift.until - shift.since))
            found.append(
                Drift(
                    kind=DriftKind.SHIFT,
                    entity=entity,
                    started_at=shift.since,
                    measure=float(shift.records),
                    reason=f"a new level {owner}has stayed for {lasted}: {shift.flagged} of "
                    f"{shift.records} records were flagged",
                )
            )
    return found


def drift_is_over(drift: Drift, history: ObservedHistory, indices: Mapping[str, float]) -> bool:
    """Return whether a drift has ended without a new detector.

    Args:
        drift: a known drift.
        history: history of the records that the detector judged.
        indices: column -> population stability index.
    """
    if drift.kind is DriftKind.SHIFT:
        return drift.entity not in history.shifts
    if drift.kind is DriftKind.COLUMN:
        index = indices.get(drift.feature)
        return index is not None and index < SETTLED
    return False  # drift of scores ends only with a new detector


@dataclass(frozen=True, kw_only=True)
class TrialStage:
    """The progress of a trial.

    Attributes:
        wanted: number of records for a full trial.
        overdue: whether the trial has reached its longest duration.
        ripe: whether both detectors judged enough records for a decision.
    """

    wanted: int
    overdue: bool
    ripe: bool


def stage_of(
    records: int,
    began_at: datetime,
    rate: float,
    life: LifecycleSettings,
    now: datetime,
    *,
    asked_for: bool = False,
) -> TrialStage:
    """Return the progress of a trial.

    Args:
        records: number of records that both detectors judged.
        began_at: start of the trial, aware UTC.
        rate: target rate of the detector on trial.
        life: lifecycle settings of the monitor.
        now: aware UTC.
        asked_for: whether the two detectors have different settings or target rates.
    """
    wanted = records_of_a_trial(rate, life.trial_records)
    overdue = now - began_at >= life.trial_longest or is_wrong(began_at, now)
    least = least_records(wanted, overdue=overdue, asked_for=asked_for)
    return TrialStage(wanted=wanted, overdue=overdue, ripe=records >= least)


def outcome_of_trial(
    evidence: Evidence | None, stage: TrialStage, *, unfit: str = ""
) -> Decision | None:
    """Return the decision of a trial; None while the trial continues.

    Args:
        evidence: results of both detectors; None if the trial has too few records for a decision.
        stage: progress of the trial.
        unfit: reason why records do not fit the detector on trial; empty if they fit.
    """
    if unfit:
        return ruled_unfit(unfit)
    if evidence is None or not stage.ripe:
        return None
    decision = decide(evidence, stage.wanted, overdue=stage.overdue)
    return None if decision.outcome is TrialOutcome.WAIT else decision


def _whole_minutes(length: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(np.float64(length / timedelta(minutes=1)))))
