"""Why records over the line are kept quiet: by the calendar, by people, by rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aemon.config.quiet_settings import QuietSettings
from aemon.detection.excuses import NO_EXCUSES, Excuses, reason_of
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.quiet_rules import in_maintenance, in_snooze, records_before, uncounted
from aemon.frame import Frame, naive_utc
from aemon.records import Quiet, Snooze
from aemon.store.drifts import Drift
from aemon.store.snoozes import records_between
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, eq=False)
class Calendar:
    """What the calendar says of N records.

    Attributes:
        maintained: (N,) in a maintenance window.
        snoozed: (N,) in a snooze.
    """

    maintained: npt.NDArray[np.bool_]
    snoozed: npt.NDArray[np.bool_]

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Which lie in stretches that say nothing of normal life (N,)."""
        return self.maintained | self.snoozed


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """All that decides what is kept quiet, for one run of one monitor.

    Attributes:
        monitor: whose.
        settings: the configured calendar and rules.
        snoozes: what people said.
        store: knows the records before those that are judged.
        shifts: new levels that were told as drift already.
        excuses: what people said of records that is about their like, too.
    """

    monitor: str
    settings: QuietSettings
    snoozes: tuple[Snooze, ...]
    store: Store
    shifts: tuple[Drift, ...] = ()
    excuses: Excuses = NO_EXCUSES

    def calendar(self, frame: Frame) -> Calendar:
        """Hold N records against maintenance windows and snoozes."""
        return Calendar(
            maintained=in_maintenance(frame, self.settings.maintenance),
            snoozed=in_snooze(frame, self.snoozes),
        )

    def apply(
        self,
        frame: Frame,
        judgement: Judgement,
        explanations: Sequence[Explanation],
        calendar: Calendar,
    ) -> Judgement:
        """The judgement of N records, with those anomalies suppressed that are to be quiet.

        Args:
            frame: the records.
            judgement: of them, nothing suppressed yet.
            explanations: of the anomalies, in order.
            calendar: of the records.

        Raises:
            StoreError: the database fails.
        """
        rows = np.flatnonzero(judgement.anomalous)
        if not len(rows):
            return judgement
        flagged = frame.take(rows)
        shifted = np.zeros(len(rows), dtype=bool)
        for drift in self.shifts:
            since = flagged.times >= naive_utc(drift.started_at)
            shifted |= since & (flagged.entities == drift.entity)
        few = self._few(frame, rows, judgement)
        quiet: dict[int, Quiet] = {}
        for place, (row, explanation) in enumerate(zip(rows.tolist(), explanations, strict=True)):
            reasons = (
                Quiet.MAINTENANCE if calendar.maintained[row] else None,
                Quiet.SNOOZED if calendar.snoozed[row] else None,
                Quiet.DRIFT if shifted[place] else None,
                uncounted(explanation.contributions, self.settings),
                Quiet.FEW if few[place] else None,
                Quiet.EXCUSED if self._excused(frame, row, explanation) else None,
            )
            reason = next(filter(None, reasons), None)
            if reason is not None:
                quiet[row] = reason
        return judgement.suppress(quiet) if quiet else judgement

    def _excused(self, frame: Frame, row: int, explanation: Explanation) -> bool:
        """Whether a record was called a false alarm, or is like one that was."""
        if not self.excuses.records:
            return False
        entity = frame.entities[row]
        reason = reason_of(entity, explanation.contributions)
        named = (entity, frame.keys[row]) in self.excuses.records
        return named or (reason is not None and self.excuses.cover(reason))

    def _few(
        self, frame: Frame, rows: npt.NDArray[np.intp], judgement: Judgement
    ) -> npt.NDArray[np.bool_]:
        """Which of the K records at these rows have too few of their entity before them (K,)."""
        least, window = self.settings.least_records, self.settings.window
        if not least:
            return np.zeros(len(rows), dtype=bool)

        def few(times: npt.NDArray[np.datetime64], row: int) -> bool:
            return records_before(times, frame.times[row], window) < least

        entities = frame.entities
        idle = np.zeros(len(frame), dtype=bool) if judgement.idle is None else judgement.idle
        here = {name: frame.times[(entities == name) & ~idle] for name in set(entities[rows])}
        short = [row for row in rows.tolist() if few(here[entities[row]], row)]
        if short:  # the window may reach back before the frame
            moments = [frame.aware_time(row) for row in short]
            names = {entities[row] for row in short}
            known = records_between(
                self.store, self.monitor, names, min(moments) - window, max(moments)
            )
            again = set(frame.identities)
            for name in names:
                before = [
                    naive_utc(time)
                    for (entity, key), time in known.items()
                    if entity == name and (entity, key) not in again
                ]
                here[name] = np.concatenate([here[name], np.array(before, dtype="datetime64[us]")])
        return np.array([few(here[entities[row]], row) for row in rows.tolist()], dtype=bool)
