"""Chooses the records of a training: records to read, to leave out and to bring back."""

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
from aemon.lifecycle.feedback_frames import as_frame, last_feedback, only, stored_records
from aemon.lifecycle.idle_records import idle_at_first
from aemon.lifecycle.left_out import (
    Flagging,
    KnownFeedback,
    find_left_out,
    outlived,
    quiet_stretches,
)
from aemon.reading.reader import Read, Reader
from aemon.reading.unreadable import rejections
from aemon.records import FeedbackVerdict, Identity, Watermark
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import check_apart
from aemon.store.drifts import Drift, DriftKind, learned_shifts, open_drifts
from aemon.store.feedback import read_feedback, stored_anomalies
from aemon.store.lists import judged_records
from aemon.store.store import Store, as_json, from_json

IDLE, ODD = "idle", "odd"
"""Reasons to leave a record out: the plant did not run yet; the record differs from all others."""

LEAST_USABLE_SHARE = 0.5
"""Least usable share of the first records. With a smaller share, the configured column of the time
or of the key is probably wrong."""


@dataclass(frozen=True, kw_only=True)
class ReadFrom:
    """The query by which a training reads its records, stored so that it can be repeated."""

    newest: bool  # whether the newest records are read; otherwise the first records are read
    limit: int
    until: Watermark | None = None

    def ask(self, reader: Reader) -> Read:
        """Read the records of the query."""
        if self.newest:
            return reader.newest(self.until, self.limit)
        return reader.after(None, self.limit)

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values for the manifest."""
        return {"newest": self.newest, "limit": self.limit, "until": as_json(self.until)}

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "ReadFrom":
        """Return the query from the JSON values that `as_json` made."""
        return cls(newest=noted["newest"], limit=noted["limit"], until=from_json(noted["until"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRecords:
    """The records of a training, and the reasons why they were chosen.

    Attributes:
        frame: the records.
        times: event times of all records that can be judged, including records left out.
        watermark: watermark after which judging begins; None unless this is the first training.
        read: the query to the source.
        rejected: number of records that could not be read, by reason.
        left_out: records left out, by reason: `flagged`, `confirmed`, `ignored`,
            `maintenance`, `snoozed`, `outlived`, `idle`, `odd`.
        traffic: rate and pauses of all records that were read.
        broken: whether flagged records stay in the training, because too many were flagged.
        brought_back: stored records with a false alarm, which were not read from the source.
        false_alarms: all records with a false alarm as last feedback, read or stored.
        applied: ids of the feedback entries that no training used before.
        feedback: ids of all feedback entries.
        shifts: new levels that are part of the training, although their records were flagged.
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
    feedback: tuple[int, ...] = ()
    shifts: tuple[Drift, ...] = ()
    broken: bool = False
    traffic: UsualTraffic = field(default_factory=UsualTraffic)

    def without_unusual(self, unusual: Sequence[Identity]) -> "TrainingRecords":
        """Return these training records without the given unusual records."""
        left_out = {**self.left_out, ODD: list(unusual)}
        return replace(
            self, frame=self.frame.take(~rows_of(self.frame, unusual)), left_out=left_out
        )

    @property
    def summary(self) -> str:
        """Description of the records left out and brought back; empty without such records."""
        names = {ODD: "unusual"}
        parts = [
            f"{len(pairs)} {names.get(reason, reason)} records"
            for reason, pairs in self.left_out.items()
        ]
        left_out = f"{' and '.join(parts)} left out" if parts else ""
        back = len(self.brought_back)
        brought = f"{back} false alarms brought back" if back else ""
        since = [f"{drift.started_at:%Y-%m-%d %H:%M}" for drift in self.shifts]
        new_level = f"the new level since {', '.join(since)} learned as normal" if since else ""
        wrong = "most records were flagged, so they were not left out" if self.broken else ""
        return ", ".join(filter(None, (left_out, brought, new_level, wrong)))


def choose_records(
    name: str, settings: MonitorSettings, store: Store, source: Replayable, *, by_hand: bool = False
) -> TrainingRecords:
    """Choose the records on which a monitor's next detector is trained.

    The first training uses all records of the source. If there are too many, it uses the first
    records, or with `start: now` the newest records. A later training uses the newest judged
    records, without the flagged records that the target rate does not explain. Feedback has
    precedence: confirmed anomalies and ignored periods are left out, and false alarms are used. If
    the source does not return a false alarm, the stored record is used.

    Raises:
        TrainingError: there are too few records.
        AemonError: the source or the store fails.
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
    entries = read_feedback(store, name)
    find = last_feedback(entries)
    levels = [*learned_shifts(store, name), *shifts]
    reasons = {
        **quiet_stretches(name, settings, store, frame),
        "outlived": outlived(frame, levels),
    }
    if first:
        names = [str(column) for column in frame.values]
        idle = idle_at_first(frame, judged_columns(names, source.roles, settings.columns))
        reasons[IDLE] = idle
    flagging = Flagging(
        name=name, store=store, levels=levels, first=first, by_hand=by_hand, records=len(working)
    )
    feedback = KnownFeedback(entries=entries, find=find)
    found = find_left_out(frame, feedback, reasons, flagging)
    stored = stored_records(name, store, entries, find)
    back = only(stored, find, FeedbackVerdict.FALSE_ALARM, without=frame)
    return TrainingRecords(
        frame=join_frames(_without(frame, found.by_reason), back),
        times=working.times,
        watermark=fetched.watermark if first else None,
        read=read,
        rejected=frame.rejected,
        left_out=found.by_reason,
        brought_back=back.identities,
        false_alarms=only(join_frames(frame, stored), find, FeedbackVerdict.FALSE_ALARM),
        applied=tuple(entry.id for entry in entries if entry.detector_id is None),
        feedback=tuple(entry.id for entry in entries),
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
    """Return the unusual records that a training left out, read again from the source.

    Args:
        source: source of the records.
        manifest: manifest of the trained detector.
        gap: largest number of other records of the entity between two records of a burst.

    Returns:
        A frame for each burst of unusual records of one entity, in the order of time.

    Raises:
        AemonError: the source fails.
    """
    named = [(entity, key) for entity, key in manifest.get("left_out", {}).get(ODD, ())]
    if not named:
        return []
    frame = in_time_order(ReadFrom.from_json(manifest["read"]).ask(Reader(source)).frame)
    unusual = rows_of(frame, named)
    bursts = []
    for entity in dict.fromkeys(frame.entities[unusual]):
        own = np.flatnonzero(frame.entities == entity)
        places = np.flatnonzero(unusual[own])
        ends = np.flatnonzero(np.diff(places) > gap + 1) + 1
        bursts += [frame.take(own[burst]) for burst in np.split(places, ends)]
    return sorted(bursts, key=lambda burst: burst.times[0])


def choose_again(source: Replayable, store: Store, name: str, row: Mapping[str, Any]) -> Frame:
    """Return the training records of a detector, read again from the source.

    The records are the same only if the source still has the same records, unchanged. Late records
    that were judged after the training are left out, because the training could not read them.

    Args:
        source: source of the records.
        store: the results database, which has the scoring times of records.
        name: name of the monitor.
        row: row of the detector, with its manifest.
    """
    manifest = row["manifest"]
    read = ReadFrom.from_json(manifest["read"])
    since = row["trained_at"] if read.newest and read.until else None
    newer = judged_records.judged_later(store, name, until=row["trained_until"], since=since)
    frame = replace(read, limit=read.limit + len(newer)).ask(Reader(source)).frame
    frame = frame.take(~rows_of(frame, newer))
    count = read.limit - sum(manifest["rejected"].values())
    frame = frame.take(slice(-count, None) if read.newest else slice(count))
    back = {(entity, key) for entity, key in manifest["brought_back"]}
    stored = as_frame(stored_anomalies(store, name, sorted({key for _, key in back})))
    stored = stored.take(rows_of(stored, back))
    return join_frames(_without(frame, manifest["left_out"]), stored)


def _without(frame: Frame, left_out: Mapping[str, Sequence[Sequence[str]]]) -> Frame:
    """Return a frame without the records that are left out: reason -> pairs (entity, key)."""
    gone = [(entity, key) for pairs in left_out.values() for entity, key in pairs]
    return frame.take(~rows_of(frame, gone))


def _check_usable(name: str, wanted: int, count: int, frame: Frame, waiting: int) -> None:
    """Check that there are enough records, and that not too many of them are rejected."""
    if count < wanted:
        held = f", {waiting} more have an implausible time" if waiting else ""
        raise TrainingError(
            f"{name}: {count} of {wanted} records are there{held}",
            todo="wait for more records, or lower min_records",
        )
    error = unusable(count, frame)
    if error is not None:
        raise TrainingError(f"{name}: {error.message}", todo=error.todo)


def unusable(count: int, frame: Frame) -> TrainingError | None:
    """Return an error if too many of the first records are rejected; else None.

    Args:
        count: number of records that were read.
        frame: the usable records, with the number of rejected records by reason.
    """
    if len(frame) >= LEAST_USABLE_SHARE * count:
        return None
    reasons = ", ".join(rejections(frame.rejected, {}))
    most = max(frame.rejected, key=frame.rejected.__getitem__, default="")
    todo = "see with `aemon check` whether time and key are the right columns"
    if most == "duplicate_key":
        todo = (
            "set key: NAME to a column without repeated values, such as a column that a query "
            "builds from time and key, or set entity: NAME to the column that names the machine "
            "of a record"
        )
    return TrainingError(
        f"of the first {count} records only {len(frame)} can be used: {reasons}", todo=todo
    )


def _check_first(
    name: str, settings: MonitorSettings, wanted: int, fetched: Read, working: Frame
) -> None:
    """Check that the first records are usable, and that enough of them would be judged.

    Args:
        name: name of the monitor.
        settings: settings of the monitor.
        wanted: number of records needed, as computed from the number of columns.
        fetched: the records that were read.
        working: the records for which `columns.only_when` holds.

    Raises:
        TrainingError: there are too few records.
        FrameError: the times are not plausible.
    """
    check_times(fetched)
    wanted = needed_for_entities(fetched.frame, wanted, settings)
    _check_usable(name, wanted, fetched.fetched, fetched.frame, fetched.waiting)
    # With min_records, at most this number of records is read; few may be in operation.
    least = wanted if settings.min_records is None else LEAST_RECORDS
    if settings.columns.only_when is not None and len(working) < least:
        raise TrainingError(
            f"{name}: columns.only_when holds for {len(working)} of the records, "
            f"{least} are needed",
            todo="wait for more records, or change columns.only_when",
        )


def _learned_shifts(
    name: str, settings: MonitorSettings, store: Store, frame: Frame
) -> tuple[Drift, ...]:
    """Return the new levels to train on; empty unless `learn_shift_after` is set.

    The records of a new level are used from its beginning, although they were flagged. Earlier
    records of the entity are left out: with both levels in one training, a member whose held-out
    fold is the new level would not know the level, and values between the levels would be normal.
    If too few records remain for a training, no level is returned.
    """
    if settings.life.learn_shift_after is None:
        return ()
    shifts = [drift for drift in open_drifts(store, name) if drift.kind is DriftKind.SHIFT]
    left = np.ones(len(frame), dtype=bool)
    for drift in shifts:
        own = frame.entities == drift.entity
        left &= ~own | (frame.times >= naive_utc(drift.started_at))
    wanted = needed_for(frame.values.shape[1], settings)
    return tuple(shifts) if left.sum() >= min(wanted, len(frame)) else ()
