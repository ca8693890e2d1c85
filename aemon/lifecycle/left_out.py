"""Which records teach nothing, and why: flagged ones, those people spoke of, quiet stretches."""

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
from aemon.lifecycle.feedback_frames import About, in_stretch
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.policy import is_young
from aemon.records import FeedbackVerdict, Identity, Quiet, promise_is_broken
from aemon.store import queries
from aemon.store.detectors import StoredDetector, active_detector
from aemon.store.drifts import Drift
from aemon.store.feedback import Feedback
from aemon.store.snoozes import snoozes_of
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What people said, and how to ask for the last word on a record."""

    said: Sequence[Feedback]
    about: About


@dataclass(frozen=True, kw_only=True)
class Flagging:
    """Where to ask what was flagged.

    Attributes:
        name: the monitor.
        store: where its verdicts are.
        levels: new levels that are normal now.
        first: no detector has judged yet, so nothing was flagged.
        by_hand: a person asks for the training.
        records: how many of the records could be judged.
    """

    name: str
    store: Store
    levels: Sequence[Drift]
    first: bool
    by_hand: bool
    records: int


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The records that teach nothing.

    Attributes:
        by_reason: reason -> their identities.
        broken: the promise was broken so far that flagged records are not left out.
    """

    by_reason: dict[str, list[Identity]]
    broken: bool


def quiet_stretches(
    name: str, settings: MonitorSettings, store: Store, frame: Frame
) -> dict[str, Mask]:
    """Return which of N records were to be quiet (N,), by reason: they need not have been normal."""
    with store.reading() as connection:
        snoozes = snoozes_of(connection, name)
    maintained = in_maintenance(frame, settings.quiet.maintenance)
    return {
        Quiet.MAINTENANCE.value: maintained,
        Quiet.SNOOZED.value: in_snooze(frame, snoozes) & ~maintained,
    }


def outlived(frame: Frame, levels: Sequence[Drift]) -> Mask:
    """Return which of N records are from before a new level that is normal now (N,)."""
    found = np.zeros(len(frame), dtype=bool)
    for level in levels:
        found |= (frame.entities == level.entity) & (frame.times < naive_utc(level.started_at))
    return found


def find_left_out(
    frame: Frame, spoken: Spoken, apart: Mapping[str, Mask], flagging: Flagging
) -> LeftOut:
    """Return the records that teach nothing, by reason.

    Args:
        frame: N records.
        spoken: what people said of records.
        apart: further reasons, each with the records (N,) it is true of.
        flagging: where to ask what was flagged.

    Raises:
        StoreError: the database fails.
    """
    pairs = frame.identities
    ignored = np.zeros(len(frame), dtype=bool)
    for one in spoken.said:
        if one.verdict is FeedbackVerdict.IGNORE_UNTIL and one.until is not None:
            ignored |= in_stretch(frame, one)
    last = [spoken.about(*pair) for pair in pairs]
    hushed = np.logical_or.reduce([*apart.values()])
    confirmed = flags(one is not None and one.verdict is FeedbackVerdict.CONFIRMED for one in last)
    false_alarm = flags(
        one is not None and one.verdict is FeedbackVerdict.FALSE_ALARM for one in last
    )
    flagged, broken = np.zeros(len(frame), dtype=bool), False
    if not flagging.first:
        free = false_alarm | confirmed | ignored | hushed
        flagged, broken = _flagged(flagging, frame, free=free)
    said_of = confirmed | ignored
    reasons = {"flagged": flagged, "confirmed": confirmed, "ignored": ignored & ~confirmed}
    reasons |= {why: rows & ~said_of for why, rows in apart.items()}
    by_reason = {
        why: [pairs[row] for row in np.flatnonzero(rows)]
        for why, rows in reasons.items()
        if rows.any()
    }
    return LeftOut(by_reason=by_reason, broken=broken)


def _flagged(flagging: Flagging, frame: Frame, *, free: Mask) -> tuple[Mask, bool]:
    """Which records were flagged beyond what the promise explains (N,), those set free apart.

    Past anomalies would teach the new detector that they are normal. But some flagged records
    are the promised false alarms: were they left out too, every detector's calibration would end
    where the last one's line was, and each would flag more than the one before.

    And where a large share was flagged, by a detector that had not seen a whole rhythm of life, or
    where a person asks for a training, the detector was wrong and not the records: none is left out.
    """
    nothing = np.zeros(len(frame), dtype=bool)
    active = active_detector(flagging.store, flagging.name)
    if not len(frame) or active is None:
        return nothing, False
    since = frame.aware_time(int(frame.times.argmin()))
    over = queries.flagged_exceedances(flagging.store, flagging.name, since)
    nobody = (np.nan, 0)
    found = np.array([over.get(pair, nobody) for pair in frame.identities]).reshape(-1, 2)
    exceedances, by = found.T.copy()
    exceedances[free] = np.nan
    for level in flagging.levels:  # flagged for its newness, by those who had not learned it
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
    """How seldom a normal record is so far over the line (N,), along the fitted tail; NaN stays.

    The p-values that were stored end at 1 / (n + 1): by those the wildest record is as odd as the
    mildest beyond the calibration, and would be taken for a false alarm as soon as that.
    """
    flagged = ~np.isnan(exceedances)
    found = np.where(flagged, active.false_alarm_rate, np.nan)
    try:
        threshold = load(store, active).detector.threshold
    except ArtifactError:  # then none is told from the others; as many as promised stay
        return found
    found[flagged] = threshold.judge(exceedances[flagged] * threshold.value, extrapolate=True)
    return found
