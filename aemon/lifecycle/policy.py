"""Decisions about detectors: pure functions of observations, settings and time.

Nothing here reads or writes. `active_detector`, `upkeep` and `trial` observe, ask for a decision
here, and carry it out; a backtest asks the same functions.
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
from aemon.detection.promotion import Decision, Evidence, Ruling, decide, least_records
from aemon.detection.promotion import trial_records as records_of_a_trial
from aemon.detection.promotion import unfit as ruled_unfit
from aemon.errors import Remedy
from aemon.store.drifts import Drift, DriftKind

SHIFT_RECORDS = 50
"""Least number of records of a new level before it counts as lasting."""

SHIFT_TIME = timedelta(days=1)
"""Least duration of a new level before it counts as lasting, unless configured."""

SETTLED = 0.1
"""A column's drift is over if its index is below this; between the two limits nothing changes."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=1)
"""Pause after a failed training; it doubles with each further failure, up to the longest."""

LONGEST_WAIT = timedelta(minutes=10)
"""Longest pause if a training failed for lack of records: it can succeed once they arrive."""

WHOLE_RHYTHMS = timedelta(days=2)
"""Two days, the most common rhythm: a shorter training does not show what is normal at night."""


def is_young(trained_from: datetime, trained_until: datetime) -> bool:
    """Return whether a detector has not seen whole days."""
    return trained_until - trained_from < WHOLE_RHYTHMS


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Observations for the decision whether to train.

    Attributes:
        unreadable: whether the stored detector cannot be read.
        judging: whether a detector judges; without one nothing else is known.
        outdated: whether the detector or its thresholds belong to different settings.
        settings_tried: whether the newest detector was trained with the present settings.
        on_trial: whether a detector is on trial.
        trial_fits: whether the detector on trial was trained with the present settings.
        drifts: drifts that are not over, the oldest first.
        shifting: whether a period in which everything is flagged is in progress.
        shifts: whether new levels are known.
        enough_since_drift: whether enough records for a training came since the drift.
        provisional: whether the threshold has too few records to show the target rate.
        misled: whether it has not seen whole days, and flags far more than the target rate.
        training_records: number of its training records.
        records: number of records that it judged.
        state_at: time at which it became active; None without a detector.
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
        return  # the detector on trial may be the one that is needed
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
    """Return whether it is open if a period in which everything is flagged is a new level.

    That is decided first: a training before would leave the level out, or learn a part of it.
    """
    known = observed.shifts and observed.enough_since_drift
    return life.learn_shift_after is not None and observed.shifting and not known


def pause_after(failures: int, remedy: Remedy | None = None) -> timedelta:
    """Return the pause after a failed training.

    Args:
        failures: number of failures in a row before it.
        remedy: remedy of its error; None for a training that ended without one, as by a timeout.
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
    """Return all drift, known or new: scores, columns, lasting new levels.

    Args:
        history: history of the records that the detector judged.
        reference: distributions of the columns in training; None if unknown.
        indices: column -> population stability index.
        since: latest time at which scores and columns began to drift.
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
    """Return whether a drift ended by itself.

    Args:
        drift: a known drift.
        history: history of the judged records.
        indices: column -> population stability index.
    """
    if drift.kind is DriftKind.SHIFT:
        return drift.entity not in history.shifts
    if drift.kind is DriftKind.COLUMN:
        index = indices.get(drift.feature)
        return index is not None and index < SETTLED
    return False  # evidence stays; only a new detector begins without any


@dataclass(frozen=True, kw_only=True)
class TrialStage:
    """Progress of a trial.

    Attributes:
        wanted: number of records for the decision.
        overdue: whether the trial has reached its longest duration.
        ripe: whether there are enough records to decide.
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
        asked_for: whether its settings or target rate differ from the active detector's.
    """
    wanted = records_of_a_trial(rate, life.trial_records)
    overdue = now - began_at >= life.trial_longest or is_wrong(began_at, now)
    least = least_records(wanted, overdue=overdue, asked_for=asked_for)
    return TrialStage(wanted=wanted, overdue=overdue, ripe=records >= least)


def ruling_on(evidence: Evidence | None, stage: TrialStage, *, unfit: str = "") -> Decision | None:
    """Return the decision of a trial; None while it continues.

    Args:
        evidence: results of both detectors; None if it was too early to collect them.
        stage: progress of the trial.
        unfit: reason why records do not fit the detector on trial; empty if they do.
    """
    if unfit:
        return ruled_unfit(unfit)
    if evidence is None or not stage.ripe:
        return None
    decision = decide(evidence, stage.wanted, overdue=stage.overdue)
    return None if decision.ruling is Ruling.WAIT else decision


def _whole_minutes(length: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(np.float64(length / timedelta(minutes=1)))))
