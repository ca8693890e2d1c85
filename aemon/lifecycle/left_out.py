"""Finds the records to leave out of training: flagged, with feedback, or in suppressed periods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Mask
from aemon.detection.quiet_rules import in_maintenance, in_snooze
from aemon.detection.thresholds.unlikely_bursts import in_faults, unexplained
from aemon.errors import ArtifactError
from aemon.frame import Frame, flags, naive_utc
from aemon.lifecycle.feedback_frames import FindFeedback, in_ignored_period
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.policy import is_young
from aemon.records import FeedbackVerdict, Identity, Quiet, promise_is_broken
from aemon.store.detectors import StoredDetector, active_detector
from aemon.store.drifts import Drift
from aemon.store.feedback import Feedback
from aemon.store.lists import judged_records
from aemon.store.snoozes import snoozes_of
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True)
class KnownFeedback:
    """All feedback of a monitor, and a function that finds the last feedback on a record."""

    entries: Sequence[Feedback]
    find: FindFeedback


@dataclass(frozen=True, kw_only=True)
class Flagging:
    """Inputs for the choice of the flagged records that are left out of training.

    Attributes:
        name: name of the monitor.
        store: the results database, which has the verdicts of the monitor.
        levels: new levels that count as normal data now.
        first: whether no detector has judged yet; no record was then flagged.
        by_hand: whether a person asks for the training.
        records: number of records that could be judged.
    """

    name: str
    store: Store
    levels: Sequence[Drift]
    first: bool
    by_hand: bool
    records: int


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The records that are left out of training.

    Attributes:
        by_reason: reason -> identities of the records.
        broken: whether flagged records stay in the training, because too many were flagged.
    """

    by_reason: dict[str, list[Identity]]
    broken: bool


def quiet_stretches(
    name: str, settings: MonitorSettings, store: Store, frame: Frame
) -> dict[str, Mask]:
    """Return reason -> mask (N,) of records in maintenance periods and in snoozed periods.

    These records may not be normal data.
    """
    with store.reading() as connection:
        snoozes = snoozes_of(connection, name)
    maintained = in_maintenance(frame, settings.quiet.maintenance)
    return {
        Quiet.MAINTENANCE.value: maintained,
        Quiet.SNOOZED.value: in_snooze(frame, snoozes) & ~maintained,
    }


def outlived(frame: Frame, levels: Sequence[Drift]) -> Mask:
    """Return a mask (N,) of the records before a new level of their entity.

    The argument `levels` has only new levels that count as normal data now.
    """
    found = np.zeros(len(frame), dtype=bool)
    for level in levels:
        found |= (frame.entities == level.entity) & (frame.times < naive_utc(level.started_at))
    return found


def find_left_out(
    frame: Frame, feedback: KnownFeedback, reasons: Mapping[str, Mask], flagging: Flagging
) -> LeftOut:
    """Return the records to leave out of training, by reason.

    Args:
        frame: N records.
        feedback: the monitor's feedback.
        reasons: further reasons to leave records out, each with a mask (N,).
        flagging: inputs for the choice of flagged records.

    Raises:
        StoreError: the database fails.
    """
    pairs = frame.identities
    ignored = np.zeros(len(frame), dtype=bool)
    for entry in feedback.entries:
        if entry.verdict is FeedbackVerdict.IGNORE_UNTIL and entry.until is not None:
            ignored |= in_ignored_period(frame, entry)
    last = [feedback.find(*pair) for pair in pairs]
    suppressed = np.logical_or.reduce([*reasons.values()])
    confirmed = flags(
        entry is not None and entry.verdict is FeedbackVerdict.CONFIRMED for entry in last
    )
    false_alarm = flags(
        entry is not None and entry.verdict is FeedbackVerdict.FALSE_ALARM for entry in last
    )
    flagged, broken = np.zeros(len(frame), dtype=bool), False
    if not flagging.first:
        free = false_alarm | confirmed | ignored | suppressed
        flagged, broken = _flagged(flagging, frame, free=free)
    by_feedback = confirmed | ignored
    found = {"flagged": flagged, "confirmed": confirmed, "ignored": ignored & ~confirmed}
    found |= {reason: rows & ~by_feedback for reason, rows in reasons.items()}
    by_reason = {
        reason: [pairs[row] for row in np.flatnonzero(rows)]
        for reason, rows in found.items()
        if rows.any()
    }
    return LeftOut(by_reason=by_reason, broken=broken)


def _flagged(flagging: Flagging, frame: Frame, *, free: Mask) -> tuple[Mask, bool]:
    """Return a mask (N,) of the flagged records to leave out, and whether too many are flagged.

    An anomaly in the training set would become normal for the new detector. But some flagged
    records are the false alarms that the target rate allows. Without these records, every
    calibration would end at the previous threshold, and each detector would flag more records than
    the detector before.

    If far too many records are flagged, the detector is assumed to be wrong, and no record is left
    out. This rule is used only for a detector that was trained on records of less than two days,
    and for a training that a person asks for.

    Args:
        flagging: inputs for the choice.
        frame: N records.
        free: (N,) mask of records that are not chosen here: their feedback or a suppressed period
            decides whether they are left out.
    """
    nothing = np.zeros(len(frame), dtype=bool)
    active = active_detector(flagging.store, flagging.name)
    if not len(frame) or active is None:
        return nothing, False
    since = frame.aware_time(int(frame.times.argmin()))
    over = judged_records.flagged_exceedances(flagging.store, flagging.name, since)
    unflagged = (np.nan, 0)
    found = np.array([over.get(pair, unflagged) for pair in frame.identities]).reshape(-1, 2)
    exceedances, by = found.T.copy()
    exceedances[free] = np.nan
    for level in flagging.levels:  # flagged by detectors that did not know the level
        later = frame.times >= naive_utc(level.started_at)
        new_to = by <= (level.detector_id if level.learned else np.inf)
        exceedances[(frame.entities == level.entity) & later & new_to] = np.nan
    count, rate = int((~np.isnan(exceedances)).sum()), active.false_alarm_rate
    may_be_wrong = flagging.by_hand or is_young(active.trained_from, active.trained_until)
    if may_be_wrong and promise_is_broken(count, flagging.records, rate):
        return nothing, True
    faults = in_faults(exceedances, frame.entities)
    exceedances[faults] = np.nan
    chance = unexplained(_p_values(flagging.store, active, exceedances), rate)
    return chance | faults, False


def _p_values(
    store: Store, active: StoredDetector, exceedances: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the p-values (N,) of flagged records by the fitted tail; NaN for other records.

    Stored p-values are at least 1 / (n + 1) with n calibration records. So all records above the
    largest calibration score have the same stored p-value, and an extreme record would look as
    likely as a mild record.

    Args:
        store: the results database.
        active: the active detector.
        exceedances: (N,) exceedances of flagged records; NaN for other records.
    """
    flagged = ~np.isnan(exceedances)
    found = np.where(flagged, active.false_alarm_rate, np.nan)
    try:
        threshold = load(store, active).detector.threshold
    except ArtifactError:  # then all flagged records have the same p-value
        return found
    found[flagged] = threshold.judge(exceedances[flagged] * threshold.value, extrapolate=True)
    return found
