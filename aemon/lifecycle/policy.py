"""The decisions about detectors: pure functions of what is known, of settings and of the time.

Nothing here reads or writes. `active_detector`, `upkeep` and `trial` observe, ask here, and do
what the answer says; a backtest asks the same.
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
"""A level that stays must have been seen in so many records."""

SHIFT_TIME = timedelta(days=1)
"""And for so long, where no other time is given."""

SETTLED = 0.1
"""A column whose index is below this has not drifted any more; between the two it is left."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=1)
"""Pause after a training that failed; it doubles with each further failure, up to the longest."""

LONGEST_WAIT = timedelta(minutes=10)
"""Up to this where it failed for want of records: they come, and then nothing is in its way."""


WHOLE_RHYTHMS = timedelta(days=2)
"""Two turns of a day, the commonest rhythm: who saw less does not know what is normal by night."""


def is_young(trained_from: datetime, trained_until: datetime) -> bool:
    """Return whether a detector has not seen whole days."""
    return trained_until - trained_from < WHOLE_RHYTHMS


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is known when it is decided whether to train.

    Attributes:
        unreadable: the stored detector cannot be read.
        judging: whether a detector judges; without one nothing else is known.
        outdated: other settings trained it, or drew its thresholds, than those of today.
        settings_tried: the newest detector was trained by the settings of today.
        on_trial: a detector is on trial.
        trial_fits: the one on trial was trained by the settings of today.
        drifts: what has drifted and is not over, the oldest first.
        shifting: a stretch that is flagged as a whole is under way.
        shifts: whether new levels are known.
        enough_since_drift: as many records came since the drift as a training asks for.
        provisional: its threshold rests on too few records to show the promise.
        misled: it has not seen whole days, and flags far more than it promises.
        training_records: how many records it learned from.
        records: how many records it judged.
        state_at: when it became active; None without a detector.
        unused_feedback: feedback entries that no training has used.
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
    """Return what asks for a new detector, the most pressing reason first; empty if nothing does.

    Args:
        observed: what is known.
        settings: of the monitor.
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
        return  # the one on trial may be what is wanted
    learned = [drift for drift in observed.drifts if _is_learned(drift, life)]
    if life.retrain_on_drift and learned and observed.enough_since_drift:
        yield f"drift: {learned[-1].reason}"
    grown = observed.records >= observed.training_records
    if observed.misled and grown and life.learn_shift_after is not None:
        yield "growth: far more is flagged than promised, and less than two days were learned from"
    if observed.provisional and grown:
        yield "growth: there are twice the records the provisional detector learned from"
    if _is_old(observed, settings, now) and not _is_undecided(observed, life):
        yield "schedule: the detector is old enough"
    if life.retrain_on_feedback and observed.unused_feedback >= life.retrain_on_feedback:
        yield f"feedback: {observed.unused_feedback} things were said that no training has taken up"


def _is_learned(drift: Drift, life: LifecycleSettings) -> bool:
    return drift.kind is not DriftKind.SHIFT or life.learn_shift_after is not None


def _is_old(observed: Observed, settings: MonitorSettings, now: datetime) -> bool:
    zone = ZoneInfo(settings.timezone)
    at = observed.state_at
    return at is not None and is_due(settings.train_every, at, now, zone)


def _is_undecided(observed: Observed, life: LifecycleSettings) -> bool:
    """Return whether it is open if a stretch that is flagged as a whole is a new level.

    That is decided first: a training now would leave it out, or learn it in part.
    """
    known = observed.shifts and observed.enough_since_drift
    return life.learn_shift_after is not None and observed.shifting and not known


def pause_after(failures: int, remedy: Remedy | None = None) -> timedelta:
    """Return how long to wait after a training that failed.

    Args:
        failures: how many failed before it, one after the other.
        remedy: what its error asks for; None where it ended without one, such as in a timeout.
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
    """Return all that has drifted, known or not: scores, columns, levels that stay.

    Args:
        history: what is remembered of the records that the detector judged.
        reference: how the columns were distributed in training; None if that is not known.
        indices: column -> population stability index.
        since: when scores and columns began to drift, at the latest.
        life: of the monitor's settings.
    """
    found = []
    if history.scores.has_grown():
        found.append(
            Drift(
                kind=DriftKind.SCORES,
                started_at=since,
                measure=history.scores.log10_grown,
                reason="records have become odder than those learned from",
            )
        )
    if reference is not None:
        found += [
            Drift(
                kind=DriftKind.COLUMN,
                feature=column,
                started_at=since,
                measure=indices[column],
                reason=f"{column} is spread otherwise than in the records learned from",
            )
            for column in drifted_columns(reference, indices)
        ]
    least = life.learn_shift_after or SHIFT_TIME
    for entity, shift in history.shifts.items():
        if shift.stays(SHIFT_RECORDS, least) and shift.since and shift.until:
            whose = f"of {entity} " if entity else ""
            lasted = format_duration(_whole_minutes(shift.until - shift.since))
            found.append(
                Drift(
                    kind=DriftKind.SHIFT,
                    entity=entity,
                    started_at=shift.since,
                    measure=float(shift.records),
                    reason=f"a new level {whose}has stayed for {lasted}: {shift.flagged} of "
                    f"{shift.records} records were flagged",
                )
            )
    return found


def drift_is_over(drift: Drift, history: ObservedHistory, indices: Mapping[str, float]) -> bool:
    """Return whether a drift came back by itself.

    Args:
        drift: that was found.
        history: what is remembered of the records that were judged.
        indices: column -> population stability index.
    """
    if drift.kind is DriftKind.SHIFT:
        return drift.entity not in history.shifts
    if drift.kind is DriftKind.COLUMN:
        index = indices.get(drift.feature)
        return index is not None and index < SETTLED
    return False  # evidence is not unseen; a new detector begins without any


@dataclass(frozen=True, kw_only=True)
class TrialStage:
    """How far a trial has come.

    Attributes:
        wanted: records that it should see.
        overdue: it has lasted as long as it may.
        ripe: there are enough records to decide.
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
    """Return how far a trial has come.

    Args:
        records: that both detectors judged.
        began_at: when it began, aware UTC.
        rate: the false-alarm rate that the detector on trial promises.
        life: of the monitor's settings.
        now: aware UTC.
        asked_for: whether it learned by other settings than the active one, or promises another rate.
    """
    wanted = records_of_a_trial(rate, life.trial_records)
    overdue = now - began_at >= life.trial_longest or is_wrong(began_at, now)
    least = least_records(wanted, overdue=overdue, asked_for=asked_for)
    return TrialStage(wanted=wanted, overdue=overdue, ripe=records >= least)


def ruling_on(evidence: Evidence | None, stage: TrialStage, *, unfit: str = "") -> Decision | None:
    """Return what a trial rules; None while it goes on.

    Args:
        evidence: what both detectors said; None where it was not gathered, for it was too early.
        stage: how far the trial has come.
        unfit: why records no longer fit the detector on trial; empty while they do.
    """
    if unfit:
        return ruled_unfit(unfit)
    if evidence is None or not stage.ripe:
        return None
    decision = decide(evidence, stage.wanted, overdue=stage.overdue)
    return None if decision.ruling is Ruling.WAIT else decision


def _whole_minutes(length: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(np.float64(length / timedelta(minutes=1)))))
