"""Which records a detector learns from: what was read, left out and brought back, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Mask
from aemon.detection.quiet_rules import in_maintenance, in_snooze
from aemon.detection.thresholds.unlikely_bursts import in_faults, unexplained
from aemon.errors import ArtifactError, TrainingError
from aemon.frame import Frame, flags, join_frames, naive_utc, rows_of
from aemon.lifecycle.cold_start import wanted_for, wanted_records
from aemon.lifecycle.feedback_frames import (
    About,
    as_frame,
    in_stretch,
    last_words,
    only,
    stored_records,
)
from aemon.lifecycle.loaded_detector import load
from aemon.reading.reader import Read, Reader
from aemon.records import FeedbackVerdict, Identity, Quiet, Watermark
from aemon.sources.source import Replayable
from aemon.store import queries
from aemon.store.detectors import StoredDetector, active_detector
from aemon.store.drifts import Drift, DriftKind, learned_shifts, open_drifts
from aemon.store.feedback import Feedback, read_feedback, stored_anomalies
from aemon.store.snoozes import snoozes_of
from aemon.store.store import Store, as_json, from_json

LEAST_USABLE_SHARE = 0.5
"""With fewer usable records among the first ones, the wrong columns are being read."""


@dataclass(frozen=True, kw_only=True)
class ReadFrom:
    """What a training asked its source for: enough to ask again."""

    newest: bool  # the newest up to a watermark, else the first ones
    limit: int
    until: Watermark | None = None

    def ask(self, reader: Reader) -> Read:
        """Ask."""
        if self.newest:
            return reader.newest(self.until, self.limit)
        return reader.after(None, self.limit)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"newest": self.newest, "limit": self.limit, "until": as_json(self.until)}

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "ReadFrom":
        """The inverse of `as_json`."""
        return cls(newest=noted["newest"], limit=noted["limit"], until=from_json(noted["until"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRecords:
    """The records to learn from, and everything there is to say about how they were chosen.

    Attributes:
        frame: the records.
        watermark: where judging begins; None unless this is the first detector.
        read: what the source was asked for.
        rejected: records of it that could not be read, by reason.
        left_out: records that teach nothing, by reason: `flagged`, `confirmed`, `ignored`,
            `maintenance`, `snoozed`, `outlived`.
        brought_back: false alarms older than what was read.
        false_alarms: records a person called normal, wherever they are.
        confirmed: records a person called anomalies.
        applied: ids of the feedback that no training took up before.
        spoken: ids of all feedback that was there.
        shifts: new levels that are learned, though their records were flagged.
    """

    frame: Frame
    watermark: Watermark | None
    read: ReadFrom
    rejected: dict[str, int]
    left_out: dict[str, list[Identity]]
    brought_back: list[Identity]
    false_alarms: Frame
    confirmed: Frame
    applied: tuple[int, ...] = ()
    spoken: tuple[int, ...] = ()
    shifts: tuple[Drift, ...] = ()

    @property
    def told(self) -> str:
        """What was left out and brought back, in plain words; empty if nothing was."""
        parts = [f"{len(pairs)} {why} ones" for why, pairs in self.left_out.items()]
        told = f"{' and '.join(parts)} left out" if parts else ""
        back = len(self.brought_back)
        brought = f"{back} false alarms brought back" if back else ""
        since = [f"{drift.started_at:%Y-%m-%d %H:%M}" for drift in self.shifts]
        new_level = f"a new level learned since {', '.join(since)}" if since else ""
        return ", ".join(filter(None, (told, brought, new_level)))


def choose_records(
    name: str, settings: MonitorSettings, store: Store, source: Replayable
) -> TrainingRecords:
    """The records a monitor's next detector learns from.

    The first one learns from the first or the newest records there are, a later one from the
    newest that were judged, without those flagged beyond what the promise explains. Feedback
    goes before: a confirmed anomaly and what is to be ignored teach nothing, and a false alarm is
    learned from, brought back from the store if it is older than what is read.

    Raises:
        TrainingError: there are too few records.
        AemonError: the source or the store is at fault.
    """
    mark = store.mark(name)
    first = mark.watermark is None
    wanted = wanted_records(settings, source) if first else 0
    if not first:
        read = ReadFrom(newest=True, limit=settings.max_training_records, until=mark.watermark)
    elif settings.start == "now":
        read = ReadFrom(newest=True, limit=settings.max_training_records)
    else:
        read = ReadFrom(newest=False, limit=wanted)
    fetched = read.ask(Reader(source))
    frame = fetched.frame
    if first:
        _check_usable(name, wanted, fetched.fetched, frame, fetched.waiting)
    shifts = () if first else _learned_shifts(name, settings, store, frame)
    said = read_feedback(store, name)
    about = last_words(said)
    levels = [*learned_shifts(store, name), *shifts]
    apart = {**_quiet(name, settings, store, frame), "outlived": _outlived(frame, levels)}
    feedback = _Feedback(said=said, about=about)
    judged = _Judged(name=name, store=store, levels=levels, first=first)
    left_out = _left_out(frame, feedback, apart, judged)
    stored = stored_records(name, store, said, about)
    back = only(stored, about, FeedbackVerdict.FALSE_ALARM, without=frame)
    taught = _without(frame, left_out)
    whole = join_frames(frame, stored)
    return TrainingRecords(
        frame=join_frames(taught, back),
        watermark=fetched.watermark if first else None,
        read=read,
        rejected=frame.rejected,
        left_out=left_out,
        brought_back=back.identities,
        false_alarms=only(whole, about, FeedbackVerdict.FALSE_ALARM),
        confirmed=only(whole, about, FeedbackVerdict.CONFIRMED),
        applied=tuple(one.id for one in said if one.detector_id is None),
        spoken=tuple(one.id for one in said),
        shifts=shifts,
    )


def choose_again(source: Replayable, store: Store, name: str, row: Mapping[str, Any]) -> Frame:
    """The records a detector learned from, as far as the source still has them as they were.

    Records that came in late, with times among those learned from, were not there then.

    Args:
        source: where they were read.
        store: what was judged, and when.
        name: the monitor.
        row: the detector's, with its manifest.
    """
    manifest = row["manifest"]
    read = ReadFrom.from_json(manifest["read"])
    since = row["trained_at"] if read.newest and read.until else None
    newer = queries.judged_later(store, name, until=row["trained_until"], since=since)
    frame = replace(read, limit=read.limit + len(newer)).ask(Reader(source)).frame
    frame = frame.take(~rows_of(frame, newer))
    there = read.limit - sum(manifest["rejected"].values())
    frame = frame.take(slice(-there, None) if read.newest else slice(there))
    back = {(entity, key) for entity, key in manifest["brought_back"]}
    stored = as_frame(stored_anomalies(store, name, sorted({key for _, key in back})))
    stored = stored.take(rows_of(stored, back))
    return join_frames(_without(frame, manifest["left_out"]), stored)


def _without(frame: Frame, left_out: Mapping[str, Sequence[Sequence[str]]]) -> Frame:
    """The records that are left; JSON makes lists of the pairs that name the others."""
    gone = [(entity, key) for pairs in left_out.values() for entity, key in pairs]
    return frame.take(~rows_of(frame, gone))


def _check_usable(name: str, wanted: int, there: int, frame: Frame, waiting: int) -> None:
    """Refuse to call a handful of records the normal life of a monitor."""
    if there < wanted:
        held = f", {waiting} more with a time nobody can believe" if waiting else ""
        raise TrainingError(
            f"{name}: {there} of {wanted} records are there{held}",
            todo="wait for more, or lower min_records",
        )
    if len(frame) < LEAST_USABLE_SHARE * there:
        reasons = ", ".join(f"{count} {reason}" for reason, count in frame.rejected.items())
        raise TrainingError(
            f"{name}: of the first {there} records only {len(frame)} can be used: {reasons}",
            todo="see with `aemon check` whether time and key are the right columns",
        )


def _quiet(name: str, settings: MonitorSettings, store: Store, frame: Frame) -> dict[str, Mask]:
    """Reason -> which of N records were to be quiet (N,): they need not have been normal."""
    with store.reading() as connection:
        snoozes = snoozes_of(connection, name)
    maintained = in_maintenance(frame, settings.quiet.maintenance)
    return {
        Quiet.MAINTENANCE.value: maintained,
        Quiet.SNOOZED.value: in_snooze(frame, snoozes) & ~maintained,
    }


@dataclass(frozen=True, kw_only=True)
class _Feedback:
    """What people said, and how to ask for the last word on a record."""

    said: Sequence[Feedback]
    about: About


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """Where to ask what was flagged: of a first detector's records, nothing was."""

    name: str
    store: Store
    levels: Sequence[Drift]
    first: bool


def _left_out(
    frame: Frame, feedback: _Feedback, apart: Mapping[str, Mask], judged: _Judged
) -> dict[str, list[Identity]]:
    """Return the records that teach nothing, by reason."""
    pairs = frame.identities
    ignored = np.zeros(len(frame), dtype=bool)
    for one in feedback.said:
        if one.verdict is FeedbackVerdict.IGNORE_UNTIL and one.until is not None:
            ignored |= in_stretch(frame, one)
    last = [feedback.about(*pair) for pair in pairs]
    hushed = np.logical_or.reduce([*apart.values()])
    confirmed = flags(one is not None and one.verdict is FeedbackVerdict.CONFIRMED for one in last)
    false_alarm = flags(
        one is not None and one.verdict is FeedbackVerdict.FALSE_ALARM for one in last
    )
    flagged = np.zeros(len(frame), dtype=bool)
    if not judged.first:
        free = false_alarm | confirmed | ignored | hushed
        flagged = _flagged(judged.name, judged.store, frame, judged.levels, free=free)
    said_of = confirmed | ignored
    reasons = {"flagged": flagged, "confirmed": confirmed, "ignored": ignored & ~confirmed}
    reasons |= {why: rows & ~said_of for why, rows in apart.items()}
    return {
        why: [pairs[row] for row in np.flatnonzero(rows)]
        for why, rows in reasons.items()
        if rows.any()
    }


def _outlived(frame: Frame, levels: Sequence[Drift]) -> Mask:
    """Which of N records are from before a new level that is normal now (N,)."""
    found = np.zeros(len(frame), dtype=bool)
    for level in levels:
        found |= (frame.entities == level.entity) & (frame.times < naive_utc(level.started_at))
    return found


def _learned_shifts(
    name: str, settings: MonitorSettings, store: Store, frame: Frame
) -> tuple[Drift, ...]:
    """The new levels that have stayed long enough to be the new normal.

    From such a stretch on its records are learned, though they were flagged; what was normal before
    it is not any more. Both levels in one training would make the gap between them normal, too:
    each member is tried on a stretch, and would never have seen the new one.
    """
    if settings.life.learn_shift_after is None:
        return ()
    shifts = [one for one in open_drifts(store, name) if one.kind is DriftKind.SHIFT]
    left = np.ones(len(frame), dtype=bool)
    for drift in shifts:
        mine = frame.entities == drift.entity
        left &= ~mine | (frame.times >= naive_utc(drift.started_at))
    wanted = wanted_for(frame.values.shape[1], settings)
    return tuple(shifts) if left.sum() >= min(wanted, len(frame)) else ()


def _flagged(name: str, store: Store, frame: Frame, levels: Sequence[Drift], *, free: Mask) -> Mask:
    """Which records were flagged beyond what the promise explains (N,), those set free apart.

    Past anomalies would teach the new detector that they are normal. But some flagged records
    are the promised false alarms: were they left out too, every detector's calibration would end
    where the last one's line was, and each would flag more than the one before.
    """
    active = active_detector(store, name)
    if not len(frame) or active is None:
        return np.zeros(len(frame), dtype=bool)
    since = frame.aware_time(int(frame.times.argmin()))
    over = queries.flagged_exceedances(store, name, since)
    nobody = (np.nan, 0)
    found = np.array([over.get(pair, nobody) for pair in frame.identities]).reshape(-1, 2)
    exceedances, by = found.T.copy()
    exceedances[free] = np.nan
    for level in levels:  # flagged for its newness, by those who had not learned it
        later = frame.times >= naive_utc(level.started_at)
        new_to = by <= (level.detector_id if level.learned else np.inf)
        exceedances[(frame.entities == level.entity) & later & new_to] = np.nan
    faults = in_faults(exceedances, frame.entities)
    exceedances[faults] = np.nan
    chance = unexplained(_p_values(store, active, exceedances), active.false_alarm_rate)
    return chance | faults


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
