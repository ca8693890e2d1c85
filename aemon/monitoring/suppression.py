"""Suppression: anomalies that are not notified, by calendar, feedback, drift or rules."""

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
    """Which of N records lie in maintenance periods and in snoozed periods.

    Attributes:
        maintained: (N,) mask of records in a maintenance period.
        snoozed: (N,) mask of records in a snoozed period.
    """

    maintained: npt.NDArray[np.bool_]
    snoozed: npt.NDArray[np.bool_]

    @property
    def quiet(self) -> npt.NDArray[np.bool_]:
        """Mask (N,) of records in a maintenance or snoozed period: they do not show normal data."""
        return self.maintained | self.snoozed


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Calendar, feedback, drift and rules by which one run of one monitor suppresses anomalies.

    Attributes:
        monitor: name of the monitor.
        settings: the configured maintenance periods and rules.
        snoozes: snoozes that people set.
        store: the results database, which has the earlier records.
        shifts: new levels that were already reported as drift.
        excuses: feedback of people, applied to similar records.
    """

    monitor: str
    settings: QuietSettings
    snoozes: tuple[Snooze, ...]
    store: Store
    shifts: tuple[Drift, ...] = ()
    excuses: Excuses = NO_EXCUSES

    def calendar(self, frame: Frame) -> Calendar:
        """Return which of N records lie in maintenance periods and in snoozed periods."""
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
        """Return the judgement of N records, with the reasons of suppressed anomalies.

        Args:
            frame: the records.
            judgement: judgement of the records, without suppression.
            explanations: explanations of the anomalies, in the order of the records.
            calendar: the records in maintenance periods and in snoozed periods.

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
        """Return whether this record, or a similar record, has a false alarm as feedback."""
        if not self.excuses.records:
            return False
        entity = frame.entities[row]
        reason = reason_of(entity, explanation.contributions)
        named = (entity, frame.keys[row]) in self.excuses.records
        return named or (reason is not None and self.excuses.cover(reason))

    def _few(
        self, frame: Frame, rows: npt.NDArray[np.intp], judgement: Judgement
    ) -> npt.NDArray[np.bool_]:
        """Return a mask (K,) of flagged records with too few records in the window before them.

        A window has too few records if it has fewer than `least_records` records of the same
        entity. The flagged record is in the window.

        Args:
            frame: N records.
            rows: (K,) rows of the flagged records.
            judgement: judgement of the N records; idle records do not count.

        Raises:
            StoreError: the database fails.
        """
        least, window = self.settings.least_records, self.settings.window
        if not least:
            return np.zeros(len(rows), dtype=bool)

        def few(times: npt.NDArray[np.datetime64], row: int) -> bool:
            return records_before(times, frame.times[row], window) < least

        entities = frame.entities
        idle = np.zeros(len(frame), dtype=bool) if judgement.idle is None else judgement.idle
        times_of = {name: frame.times[(entities == name) & ~idle] for name in set(entities[rows])}
        short = [row for row in rows.tolist() if few(times_of[entities[row]], row)]
        if short:  # the window may begin before the first record of the frame
            moments = [frame.aware_time(row) for row in short]
            names = {entities[row] for row in short}
            known = records_between(
                self.store, self.monitor, names, min(moments) - window, max(moments)
            )
            own = set(frame.identities)
            for name in names:
                before = [
                    naive_utc(time)
                    for (entity, key), time in known.items()
                    if entity == name and (entity, key) not in own
                ]
                times_of[name] = np.concatenate(
                    [times_of[name], np.array(before, dtype="datetime64[us]")]
                )
        return np.array([few(times_of[entities[row]], row) for row in rows.tolist()], dtype=bool)
