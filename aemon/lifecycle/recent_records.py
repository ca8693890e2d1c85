"""What a monitor remembers of the records its detector judged: for drift and for the threshold."""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aemon.detection.arrays import Mask
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


LONG_STRETCH = 30  # records; shorter ones are bursts, of which false alarms come, too
_TRAFFIC = "traffic"
# In the state, beside what drift is told by:
_REPEATS, _TAILS, _STARTS, _COUNTS = "repeats", "tails", "starts", "counts"
_ALL = Watched()
MOST_KEPT = 50_000  # scores in memory, for all lines of a monitor together


class RecentRecords:
    """One detector's records of late. It lives as long as the detector judges.

    Args:
        store: where it was written down.
        loaded: the detector.
        watched: what is told of how records come.
    """

    def __init__(self, store: Store, loaded: Loaded, watched: Watched = _ALL) -> None:
        stored = loaded.stored
        self.detector_id = stored.id
        self.base: Thresholds = loaded.trained  # as today's settings would have drawn them
        self.reference = loaded.reference
        self._operation = loaded.detector.operation
        self._repeated = loaded.detector.feature_map.repeated
        self._counted = loaded.detector.feature_map.counted
        noted = live_state(store, stored.monitor)
        self.life = _life(noted, loaded)
        written_by, state = noted if noted is not None else (None, None)
        written = state if isinstance(state, dict) else {}
        series = loaded.detector.series
        tails = series.taught if series is not None else Tails()
        if written_by == stored.id and _TAILS in written:  # in its features
            tails = Tails.from_json(written[_TAILS])
        self.past = Past(
            repeats=Repeats.from_json(written.get(_REPEATS), self._repeated),
            tails=tails,
            counts=Counts.from_json(written.get(_COUNTS)),
            starts=_starts(written, loaded),
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
        self._scores = deque((one.score for one in kept), wanted)
        self._entities = deque((one.entity for one in kept), wanted)
        self._exceedances = deque((one.exceedance for one in kept), wanted)
        self._times = deque((np.datetime64(naive_utc(one.event_time)) for one in kept), wanted)
        self._indexed: tuple[ObservedHistory, dict[str, float]] | None = None

    @property
    def shifts(self) -> tuple[Drift, ...]:
        """The new levels that were told as drift, and are not learned yet."""
        return tuple(drift for drift in self.drifts if drift.kind is DriftKind.SHIFT)

    def shifting(self, within: timedelta) -> bool:
        """Whether a stretch that is flagged as a whole is under way: it may be a new level.

        One whose last flagged record is older than `within`, by the newest record, is no more: an
        entity that sends nothing any more would be in it for ever.
        """
        long = [one.until for one in self.life.shifts.values() if one.records >= LONG_STRETCH]
        ends = [naive_utc(until) for until in long if until is not None]
        if not ends:
            return False
        newest = max([*ends, *([self._times[-1]] if self._times else [])])
        return any(newest - end <= np.timedelta64(within) for end in ends)

    def column_drift(self) -> dict[str, float]:
        """The index of each column; worked out once as long as nothing new is remembered."""
        if self._indexed is None or self._indexed[0] is not self.life:
            self._indexed = (self.life, self.life.column_drift(self.reference))
        return self._indexed[1]

    def after(self, frame: Frame, judged: Judgement, rows: Mask) -> ObservedHistory:
        """What would be remembered after some of N records."""
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
        """Write what would be remembered, in the transaction of the verdicts."""
        state = {**life.as_json(), _REPEATS: past.repeats.as_json(self._repeated)}
        if self._counted:
            state[_COUNTS] = past.counts.as_json()
        if past.tails.by_entity:
            state[_TAILS] = past.tails.as_json()
        if past.starts.by_entity and self._operation is not None:
            state[_STARTS] = [self._operation.only_when, past.starts.as_json()]
        if (noted := self.traffic.as_json(traffic)) is not None:
            state[_TRAFFIC] = noted
        write_live_state(connection, self._monitor, self.detector_id, state, at)

    def adopt(self, life: ObservedHistory, frame: Frame, judged: Judgement, rows: Mask) -> None:
        """Remember what was committed."""
        self.life = life
        self.past = judged.past
        rows = rows & ~(self._in_stretches(frame) & self._over(frame, judged))
        self._came += int(rows.sum())
        self._scores.extend(judged.scores[rows].tolist())
        self._entities.extend(frame.entities[rows].tolist())
        self._exceedances.extend(judged.exceedances[rows].tolist())
        self._times.extend(frame.times[rows])

    def _in_stretches(self, frame: Frame) -> Mask:
        """Which of N records lie in a stretch that is flagged as a whole (N,).

        Lines are not drawn from those: if it stays so, it is a new level, to be learned or not.
        But those that are normal by the training are no new level: a line that has sunk comes back.
        """
        found = np.zeros(len(frame), dtype=bool)
        for entity, shift in self.life.shifts.items():
            if shift.records >= LONG_STRETCH and shift.since is not None:
                found |= (frame.entities == entity) & (frame.times >= naive_utc(shift.since))
        return found

    def _over(self, frame: Frame, judged: Judgement) -> Mask:
        """Which of N records are over the lines of the training (N,)."""
        found = np.zeros(len(frame), dtype=bool)
        for threshold, rows in self.base.parts(frame.entities):
            found[rows] = judged.scores[rows] > threshold.value
        return found

    def recent(self) -> Recent | None:
        """The last records, if so many came that it is worth while to recalibrate; once.

        Without those of faults, by the lines that judged them: none of them is learned from.
        """
        if self._came < self._every:
            return None
        self._came = 0
        entities = np.empty(len(self._entities), dtype=object)
        entities[:] = self._entities
        scores = np.array(self._scores, dtype=np.float64)
        # What is normal by the training is none, though a line that has sunk may flag it.
        by_training = scores / self.base.values(entities)
        over = np.minimum(np.array(self._exceedances), by_training)
        usual = ~in_faults(over, entities, begun=True)
        return Recent(scores=scores[usual], entities=entities[usual])

    def times(self) -> npt.NDArray[np.datetime64]:
        """Event times of the last records, oldest first."""
        return np.array(self._times, dtype="datetime64[us]")


def _starts(written: dict[str, Any], loaded: Loaded) -> Starts:
    """Since when entities have been at work, by the same condition.

    The first detector goes on from the records that it learned from.
    """
    operation = loaded.detector.operation
    if operation is None:
        return Starts()
    match written.get(_STARTS):
        case [only_when, noted] if only_when == operation.only_when:
            return Starts.from_json(noted)
    return operation.starts if loaded.stored.version == 1 and not written else Starts()


def _life(noted: tuple[int, dict[str, Any]] | None, loaded: Loaded) -> ObservedHistory:
    """What is remembered: all of it of this detector, and of an earlier one only its stretches.

    Those are about the records: a detector that took over meanwhile may flag on.
    """
    begun = new_history(loaded.trained, loaded.reference)
    if noted is None:
        return begun
    try:
        before = ObservedHistory.from_json(noted[1])
    except (KeyError, TypeError, ValueError):  # another version of aemon wrote it
        return begun
    if noted[0] == loaded.stored.id:
        return before
    if loaded.shifts:
        return begun
    return replace(begun, shifts=before.shifts, since_drift=before.since_drift)
