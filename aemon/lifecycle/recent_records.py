"""The newest records that the active detector judged, and the detector's evidence of drift."""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aemon.detection.arrays import Mask
from aemon.detection.derived_columns import latest_as_json, latest_from_json
from aemon.detection.drift.observed_history import ObservedHistory, new_history, rows_of
from aemon.detection.features.checks.repeats import Repeats
from aemon.detection.features.increases import Counts
from aemon.detection.judgement import Judgement
from aemon.detection.operation.starts import Starts
from aemon.detection.past import Past
from aemon.detection.series.tails import Tails
from aemon.detection.thresholds.recalibration import Recent, every_records, window_records
from aemon.detection.thresholds.unlikely_bursts import in_faults
from aemon.detection.traffic.traffic import Traffic
from aemon.frame import Frame, naive_utc
from aemon.lifecycle.loaded_detector import Loaded
from aemon.lifecycle.traffic_watch import TrafficWatch, Watched
from aemon.store.drifts import Drift, DriftKind, live_state, open_drifts, write_live_state
from aemon.store.moved_thresholds import newest_scores
from aemon.store.store import Store

if TYPE_CHECKING:
    from aemon.detection.thresholds.by_entity import Thresholds


LONG_STRETCH = 30  # records; a shorter flagged period is a burst, which may be false alarms
_TRAFFIC = "traffic"
# Further keys of the stored state, beside the keys of the history of drift:
_REPEATS, _TAILS, _STARTS, _COUNTS = "repeats", "tails", "starts", "counts"
_LATEST = "latest"
_ALL = Watched()
MOST_KEPT = 50_000  # scores in memory, for all thresholds of a monitor together


class RecentRecords:
    """The recent records of one active detector; each active detector has its own object.

    Args:
        store: the results database, which has the state from before a restart.
        loaded: the active detector.
        watched: which kinds of unusual traffic are reported.
    """

    def __init__(self, store: Store, loaded: Loaded, watched: Watched = _ALL) -> None:
        stored = loaded.stored
        self.detector_id = stored.id
        self.base: Thresholds = loaded.trained  # from the training scores and the present settings
        self.reference = loaded.reference
        self._operation = loaded.detector.operation
        self._derivation = loaded.detector.derivation
        self._repeated = loaded.detector.feature_map.repeated
        self._counted = loaded.detector.feature_map.counted
        noted = live_state(store, stored.monitor)
        self.life = _life(noted, loaded)
        written_by, state = noted if noted is not None else (None, None)
        written = state if isinstance(state, dict) else {}
        series = loaded.detector.series
        tails = series.training_tails if series is not None else Tails()
        if written_by == stored.id and _TAILS in written:  # another detector has other features
            tails = Tails.from_json(written[_TAILS])
        self.past = Past(
            repeats=Repeats.from_json(written.get(_REPEATS), self._repeated),
            tails=tails,
            counts=Counts.from_json(written.get(_COUNTS)),
            starts=_starts(written, loaded),
            latest=_latest(written, loaded),
        )
        self.traffic = TrafficWatch(
            stored.monitor,
            loaded.traffic,
            watched,
            written.get(_TRAFFIC),
            first=stored.version == 1,
        )
        self.drifts: list[Drift] = open_drifts(store, stored.monitor)
        self._monitor = stored.monitor
        each = window_records(stored.false_alarm_rate)
        wanted = min(MOST_KEPT, each * (1 + len(self.base.own)))
        self._every = every_records(stored.false_alarm_rate)
        self._came = 0
        kept = newest_scores(store, stored, wanted)
        self._scores = deque((each.score for each in kept), wanted)
        self._entities = deque((each.entity for each in kept), wanted)
        self._exceedances = deque((each.exceedance for each in kept), wanted)
        self._times = deque((np.datetime64(naive_utc(each.event_time)) for each in kept), wanted)
        self._indexed: tuple[ObservedHistory, dict[str, float]] | None = None

    @property
    def shifts(self) -> tuple[Drift, ...]:
        """New levels that are reported as drift and not yet part of a training."""
        return tuple(drift for drift in self.drifts if drift.kind is DriftKind.SHIFT)

    def shifting(self, within: timedelta) -> bool:
        """Return whether an entity is in a flagged period that may be the start of a new level.

        A period has ended if its last flagged record is older than the newest record by more than
        `within`. Otherwise the period of an entity that sends no more records would never end.
        """
        long = [shift.until for shift in self.life.shifts.values() if shift.records >= LONG_STRETCH]
        ends = [naive_utc(until) for until in long if until is not None]
        if not ends:
            return False
        newest = max([*ends, *([self._times[-1]] if self._times else [])])
        return any(newest - end <= np.timedelta64(within) for end in ends)

    def column_drift(self) -> dict[str, float]:
        """Return column -> population stability index; computed once for each history."""
        if self._indexed is None or self._indexed[0] is not self.life:
            self._indexed = (self.life, self.life.column_drift(self.reference))
        return self._indexed[1]

    def after(self, frame: Frame, judged: Judgement, rows: Mask) -> ObservedHistory:
        """Return the history with further records; the present history stays unchanged.

        Args:
            frame: N judged records.
            judged: judgement of the records.
            rows: (N,) mask of the records to add.
        """
        return self.life.after(
            frame.take(rows), rows_of(judged, rows), self.base, self.reference,
            drifting=bool(self.drifts),
        )  # fmt: skip

    def record(
        self,
        connection: sa.Connection,
        life: ObservedHistory,
        past: Past,
        traffic: Traffic,
        at: datetime,
    ) -> None:
        """Write the history and the state of judging, in the transaction of the verdicts."""
        state = {**life.as_json(), _REPEATS: past.repeats.as_json(self._repeated)}
        if self._counted:
            state[_COUNTS] = past.counts.as_json()
        if self._derivation is not None:
            state[_LATEST] = [self._derivation.sources, latest_as_json(past.latest)]
        if past.tails.by_entity:
            state[_TAILS] = past.tails.as_json()
        if past.starts.by_entity and self._operation is not None:
            state[_STARTS] = [self._operation.only_when, past.starts.as_json()]
        if (noted := self.traffic.as_json(traffic)) is not None:
            state[_TRAFFIC] = noted
        write_live_state(connection, self._monitor, self.detector_id, state, at)

    def adopt(self, life: ObservedHistory, frame: Frame, judged: Judgement, rows: Mask) -> None:
        """Keep the results of committed records.

        Args:
            life: the history with the records.
            frame: N judged records.
            judged: judgement of the records.
            rows: (N,) mask of the records that count as normal data.
        """
        self.life = life
        self.past = judged.past
        rows = rows & ~(self._in_stretches(frame) & self._over(frame, judged))
        self._came += int(rows.sum())
        self._scores.extend(judged.scores[rows].tolist())
        self._entities.extend(frame.entities[rows].tolist())
        self._exceedances.extend(judged.exceedances[rows].tolist())
        self._times.extend(frame.times[rows])

    def _in_stretches(self, frame: Frame) -> Mask:
        """Return a mask (N,) of records in long flagged periods.

        If the score of such a record is above the training threshold, the record does not change
        thresholds. The period may be the start of a new level, and thresholds must not follow a new
        level: only a training learns it. A record with a lower score does change thresholds. So a
        threshold that fell too far below its training threshold can rise again.
        """
        found = np.zeros(len(frame), dtype=bool)
        for entity, shift in self.life.shifts.items():
            if shift.records >= LONG_STRETCH and shift.since is not None:
                found |= (frame.entities == entity) & (frame.times >= naive_utc(shift.since))
        return found

    def _over(self, frame: Frame, judged: Judgement) -> Mask:
        """Return a mask (N,) of records with scores above the thresholds of the training."""
        found = np.zeros(len(frame), dtype=bool)
        for threshold, rows in self.base.parts(frame.entities):
            found[rows] = judged.scores[rows] > threshold.value
        return found

    def recent(self) -> Recent | None:
        """Return the records for a recalibration; None until enough new records have arrived.

        Records in faults are left out. Faults are found by the exceedances of the records.
        """
        if self._came < self._every:
            return None
        self._came = 0
        entities = np.empty(len(self._entities), dtype=object)
        entities[:] = self._entities
        scores = np.array(self._scores, dtype=np.float64)
        # A score below the training threshold is normal, even if a lowered threshold flags it.
        by_training = scores / self.base.values(entities)
        over = np.minimum(np.array(self._exceedances), by_training)
        usual = ~in_faults(over, entities, begun=True)
        return Recent(scores=scores[usual], entities=entities[usual])

    def times(self) -> npt.NDArray[np.datetime64]:
        """Return the event times of the recent records, in the order of judging."""
        return np.array(self._times, dtype="datetime64[us]")


def _latest(written: dict[str, Any], loaded: Loaded) -> Tails:
    """Return the last numbers of each entity, for derived columns.

    The stored numbers are used only if they belong to the same columns. The first detector begins
    with the numbers at the end of its training records.
    """
    derivation = loaded.detector.derivation
    if derivation is None:
        return Tails()
    match written.get(_LATEST):
        case [[*names], noted] if tuple(names) == derivation.sources:
            return latest_from_json(noted)
    return derivation.latest if loaded.stored.version == 1 and not written else Tails()


def _starts(written: dict[str, Any], loaded: Loaded) -> Starts:
    """Return, for each entity, when the condition `columns.only_when` began to hold.

    The stored times are used only if this condition is unchanged. The first detector begins with
    the times at the end of its training records.
    """
    operation = loaded.detector.operation
    if operation is None:
        return Starts()
    match written.get(_STARTS):
        case [only_when, noted] if only_when == operation.only_when:
            return Starts.from_json(noted)
    return operation.starts if loaded.stored.version == 1 and not written else Starts()


def _life(noted: tuple[int, dict[str, Any]] | None, loaded: Loaded) -> ObservedHistory:
    """Return the stored history; if an earlier detector wrote it, keep only the flagged periods.

    Flagged periods are kept because a new detector may continue to flag the same records. They
    are not kept if the new detector was trained on a new level.
    """
    begun = new_history(loaded.trained, loaded.reference)
    if noted is None:
        return begun
    try:
        before = ObservedHistory.from_json(noted[1])
    except (KeyError, TypeError, ValueError):  # written by another version of aemon
        return begun
    if noted[0] == loaded.stored.id:
        return before
    if loaded.shifts:
        return begun
    return replace(begun, shifts=before.shifts, since_drift=before.since_drift)
