"""Observed history: a short summary of the judged records, which is stored as evidence of drift."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.detection.drift.column_drift import ColumnCounts, Reference, first_counts, psi
from aemon.detection.drift.level_shift import Shift
from aemon.detection.drift.score_drift import ScoreDrift, bulk_p_values, watch_scores
from aemon.detection.judgement import Judgement
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.frame import Frame

MOST_SHIFTING = 1_000
"""Largest number of entities with a stored shift. If more entities shift at once, the cause is not
a single entity."""


@dataclass(frozen=True, kw_only=True)
class ObservedHistory:
    """A summary of the records that a detector has judged, in a few hundred numbers.

    `new_history` returns the initial summary.

    Attributes:
        scores: evidence that the scores have drifted.
        columns: distribution of the columns; None for a detector without a reference.
        shifts: entity -> the state of its possible level shift.
        records: number of judged records.
        since_drift: number of records since drift was found; 0 without drift. Records of a level
            shift are counted in `shifts`.
        flagged: number of flagged records.
    """

    scores: ScoreDrift
    columns: ColumnCounts | None
    shifts: Mapping[str, Shift]
    records: int = 0
    since_drift: int = 0
    flagged: int = 0

    def after(
        self,
        frame: Frame,
        judged: Judgement,
        base: Thresholds,
        reference: Reference | None,
        *,
        drifting: bool,
    ) -> "ObservedHistory":
        """Return the history after N more records. Absent records must be left out.

        Args:
            frame: the records, in the order of time.
            judged: the verdicts on these records.
            base: the thresholds as computed at training; drift is measured from these thresholds.
            reference: distribution of the columns in training; None if it is not stored.
            drifting: whether drift was found and has not ended.
        """
        shifts = dict(self.shifts)
        for entity in {*frame.entities[judged.anomalous], *shifts}:
            rows = frame.entities == entity
            now = shifts.pop(entity, Shift()).after(frame.times[rows], judged.anomalous[rows])
            if now.level and len(shifts) < MOST_SHIFTING:
                shifts[entity] = now
        columns = None
        if self.columns is not None and reference is not None:
            columns = self.columns.after(reference, frame)
        return ObservedHistory(
            scores=self.scores.after(bulk_p_values(base, judged.scores, frame.entities)),
            columns=columns,
            shifts=shifts,
            records=self.records + len(frame),
            since_drift=self.since_drift + len(frame) if drifting else 0,
            flagged=self.flagged + int(judged.anomalous.sum()),
        )

    def column_drift(self, reference: Reference | None) -> dict[str, float]:
        """Return column -> population stability index; empty if there are too few records."""
        if self.columns is None or reference is None:
            return {}
        return psi(reference, self.columns)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {
            "scores": self.scores.as_json(),
            "columns": self.columns.as_json() if self.columns else None,
            "shifts": {entity: shift.as_json() for entity, shift in self.shifts.items()},
            "records": self.records,
            "since_drift": self.since_drift,
            "flagged": self.flagged,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ObservedHistory":
        """Return the history that `as_json` wrote."""
        columns = stored["columns"]
        return cls(
            scores=ScoreDrift.from_json(stored["scores"]),
            columns=ColumnCounts.from_json(columns) if columns else None,
            shifts={name: Shift.from_json(shift) for name, shift in stored["shifts"].items()},
            records=stored["records"],
            since_drift=stored["since_drift"],
            flagged=stored.get("flagged", 0),  # older versions did not count flagged records
        )


def new_history(base: Thresholds, reference: Reference | None) -> ObservedHistory:
    """Return a history without judged records.

    Args:
        base: the thresholds as computed at training.
        reference: distribution of the columns in training; None if it is not stored.
    """
    return ObservedHistory(
        scores=watch_scores(base.pooled),
        columns=first_counts(reference) if reference is not None else None,
        shifts={},
    )


def rows_of(judged: Judgement, rows: npt.NDArray[np.bool_]) -> Judgement:
    """Return the verdicts on the records that are True in a mask (N,)."""
    names = (
        "scores",
        "p_values",
        "exceedances",
        "anomalous",
        "absent",
        "critical",
        "imputed_shares",
    )
    return Judgement(
        **{name: getattr(judged, name)[rows] for name in names}, cells_imputed=judged.cells_imputed
    )
