"""Which records a detector learns from: what was read, left out and brought back, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Times
from aemon.detection.learning import LEAST_RECORDS
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.traffic.traffic import UsualTraffic, learn_traffic
from aemon.errors import TrainingError
from aemon.frame import Frame, in_time_order, join_frames, naive_utc, rows_of
from aemon.lifecycle.cold_start import (
    check_times,
    first_limit,
    judged_columns,
    needed_for,
    needed_for_entities,
    needed_records,
)
from aemon.lifecycle.feedback_frames import as_frame, last_words, only, stored_records
from aemon.lifecycle.idle_records import idle_at_first
from aemon.lifecycle.left_out import Flagging, Spoken, find_left_out, outlived, quiet_stretches
from aemon.reading.reader import Read, Reader
from aemon.reading.unreadable import rejections
from aemon.records import FeedbackVerdict, Identity, Watermark
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import check_apart
from aemon.store import queries
from aemon.store.drifts import Drift, DriftKind, learned_shifts, open_drifts
from aemon.store.feedback import read_feedback, stored_anomalies
from aemon.store.store import Store, as_json, from_json

IDLE, ODD = "idle", "odd"
"""Reasons to leave records out: nothing moves yet, or they stand out from all others."""

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
        times: event times of all that came and could be judged, those left out among them.
        watermark: where judging begins; None unless this is the first detector.
        read: what the source was asked for.
        rejected: records of it that could not be read, by reason.
        left_out: records that teach nothing, by reason: `flagged`, `confirmed`, `ignored`,
            `maintenance`, `snoozed`, `outlived`, `idle`, `odd`.
        traffic: how all that were read came.
        broken: so many records were flagged that the detector was wrong; they are not left out.
        brought_back: false alarms older than what was read.
        false_alarms: records a person called normal, wherever they are.
        applied: ids of the feedback that no training took up before.
        spoken: ids of all feedback that was there.
        shifts: new levels that are learned, though their records were flagged.
    """

    frame: Frame
    times: Times
    watermark: Watermark | None
    read: ReadFrom
    rejected: dict[str, int]
    left_out: dict[str, list[Identity]]
    brought_back: list[Identity]
    false_alarms: Frame
    applied: tuple[int, ...] = ()
    spoken: tuple[int, ...] = ()
    shifts: tuple[Drift, ...] = ()
    broken: bool = False
    traffic: UsualTraffic = field(default_factory=UsualTraffic)

    def without_unusual(self, odd: Sequence[Identity]) -> "TrainingRecords":
        """Return the same without records that stand out from all others."""
        left_out = {**self.left_out, ODD: list(odd)}
        return replace(self, frame=self.frame.take(~rows_of(self.frame, odd)), left_out=left_out)

    @property
    def summary(self) -> str:
        """What was left out and brought back, in plain words; empty if nothing was."""
        parts = [f"{len(pairs)} {why} ones" for why, pairs in self.left_out.items()]
        told = f"{' and '.join(parts)} left out" if parts else ""
        back = len(self.brought_back)
        brought = f"{back} false alarms brought back" if back else ""
        since = [f"{drift.started_at:%Y-%m-%d %H:%M}" for drift in self.shifts]
        new_level = f"a new level learned since {', '.join(since)}" if since else ""
        wrong = "most was flagged, so flagged ones were learned from" if self.broken else ""
        return ", ".join(filter(None, (told, brought, new_level, wrong)))


def choose_records(
    name: str, settings: MonitorSettings, store: Store, source: Replayable, *, by_hand: bool = False
) -> TrainingRecords:
    """The records a monitor's next detector learns from.

    The first one learns from all records there are (the first, or the newest, where there are more
    than it may learn from), a later one from the newest that were judged, without those flagged
    beyond what the promise explains. Feedback goes before: a confirmed anomaly and what is to be ignored teach nothing, and a false alarm is
    learned from, brought back from the store if it is older than what is read.

    Raises:
        TrainingError: there are too few records.
        AemonError: the source or the store is at fault.
    """
    mark = store.mark(name)
    first = mark.watermark is None
    wanted = needed_records(settings, source) if first else 0
    if first:
        check_apart(source)
    read = _what_to_read(settings, mark.watermark, wanted)
    fetched = read.ask(Reader(source))
    frame = fetched.frame
    working = at_work(frame, fit_operation(frame, settings.columns))
    if first:
        _check_first(name, settings, wanted, fetched, working)
    shifts = () if first else _learned_shifts(name, settings, store, frame)
    said = read_feedback(store, name)
    about = last_words(said)
    levels = [*learned_shifts(store, name), *shifts]
    apart = {
        **quiet_stretches(name, settings, store, frame),
        "outlived": outlived(frame, levels),
    }
    if first:
        names = [str(one) for one in frame.values]
        apart[IDLE] = idle_at_first(frame, judged_columns(names, source.roles, settings.columns))
    flagging = Flagging(
        name=name, store=store, levels=levels, first=first, by_hand=by_hand, records=len(working)
    )
    found = find_left_out(frame, Spoken(said=said, about=about), apart, flagging)
    left_out = found.by_reason
    stored = stored_records(name, store, said, about)
    back = only(stored, about, FeedbackVerdict.FALSE_ALARM, without=frame)
    taught = _without(frame, left_out)
    return TrainingRecords(
        frame=join_frames(taught, back),
        times=working.times,
        watermark=fetched.watermark if first else None,
        read=read,
        rejected=frame.rejected,
        left_out=left_out,
        brought_back=back.identities,
        false_alarms=only(join_frames(frame, stored), about, FeedbackVerdict.FALSE_ALARM),
        applied=tuple(one.id for one in said if one.detector_id is None),
        spoken=tuple(one.id for one in said),
        shifts=shifts,
        broken=found.broken,
        traffic=learn_traffic(frame.times, frame.entities),
    )


def _what_to_read(settings: MonitorSettings, watermark: Watermark | None, wanted: int) -> ReadFrom:
    if watermark is not None:
        return ReadFrom(newest=True, limit=settings.max_training_records, until=watermark)
    if settings.start == "now":
        return ReadFrom(newest=True, limit=settings.max_training_records)
    return ReadFrom(newest=False, limit=first_limit(settings, wanted))


def bursts_standing_out(source: Replayable, manifest: Mapping[str, Any], gap: int) -> list[Frame]:
    """Return the records a training left out for they stood out, as the source has them.

    Args:
        source: where they are.
        manifest: of the detector.
        gap: so many other records of the entity may lie within a burst.

    Returns:
        A frame for each burst of an entity, in the order of time.

    Raises:
        AemonError: the source is at fault.
    """
    named = [(entity, key) for entity, key in manifest.get("left_out", {}).get(ODD, ())]
    if not named:
        return []
    frame = in_time_order(ReadFrom.from_json(manifest["read"]).ask(Reader(source)).frame)
    odd = rows_of(frame, named)
    bursts = []
    for entity in dict.fromkeys(frame.entities[odd]):
        mine = np.flatnonzero(frame.entities == entity)
        places = np.flatnonzero(odd[mine])
        ends = np.flatnonzero(np.diff(places) > gap + 1) + 1
        bursts += [frame.take(mine[burst]) for burst in np.split(places, ends)]
    return sorted(bursts, key=lambda burst: burst.times[0])


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
    error = unusable(there, frame)
    if error is not None:
        raise TrainingError(f"{name}: {error.message}", todo=error.todo)


def unusable(there: int, frame: Frame) -> TrainingError | None:
    """Return why a source is not learned from: most of its first records are rejected; else None.

    Args:
        there: how many records were read.
        frame: those that can be used, and why the others cannot.
    """
    if len(frame) >= LEAST_USABLE_SHARE * there:
        return None
    reasons = ", ".join(rejections(frame.rejected, {}))
    most = max(frame.rejected, key=frame.rejected.__getitem__, default="")
    todo = "see with `aemon check` whether time and key are the right columns"
    if most == "duplicate_key":
        todo = (
            "name what tells records apart: a column whose values never come again, key: NAME, one "
            "that a query makes of time and key, or whose they are, entity: NAME"
        )
    return TrainingError(
        f"of the first {there} records only {len(frame)} can be used: {reasons}", todo=todo
    )


def _check_first(
    name: str, settings: MonitorSettings, wanted: int, fetched: Read, working: Frame
) -> None:
    """Refuse first records that cannot be used, or of which too few count.

    Args:
        name: the monitor.
        settings: its settings.
        wanted: how many records it takes, by its columns.
        fetched: the records.
        working: those that `columns.only_when` holds for.

    Raises:
        TrainingError: there are too few.
        FrameError: their times are nobody's.
    """
    check_times(fetched)
    wanted = needed_for_entities(fetched.frame, wanted, settings)
    _check_usable(name, wanted, fetched.fetched, fetched.frame, fetched.waiting)
    # Of a number that is configured no more are read: then those that are at work are enough.
    least = wanted if settings.min_records is None else LEAST_RECORDS
    if settings.columns.only_when is not None and len(working) < least:
        raise TrainingError(
            f"{name}: columns.only_when holds for {len(working)} of the records, and it takes {least}",
            todo="wait for more, or change columns.only_when",
        )


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
    wanted = needed_for(frame.values.shape[1], settings)
    return tuple(shifts) if left.sum() >= min(wanted, len(frame)) else ()
