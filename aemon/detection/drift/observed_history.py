"""What is remembered of the records a detector judged, to tell whether life has moved from it."""

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
"""Entities whose stretches are followed; with more at once it is no entity's own affair."""


@dataclass(frozen=True, kw_only=True)
class ObservedHistory:
    """A detector's records so far, in a few hundred numbers. Begun by `new_history`.

    Attributes:
        scores: evidence that their scores have drifted.
        columns: how their values are spread; None where the detector keeps no reference.
        shifts: entity -> the stretch of flagged records it is in.
        records: how many there were.
        since_drift: how many since drift was found; a shift's own count from its beginning.
        flagged: how many of the records were over the threshold.
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
        """The same after N more records, none of them absent.

        Args:
            frame: the records, in the order of time.
            judged: the verdicts on them.
            base: the lines as drawn at training: drift is away from those.
            reference: how the columns were spread in training.
            drifting: drift was found and is not over.
        """
        shifts = dict(self.shifts)
        for entity in {*frame.entities[judged.anomalous], *shifts}:
            rows = frame.entities == entity
            now = shifts.pop(entity, Shift()).after(frame.times[rows], judged.anomalous[rows])
            if now.level and len(shifts) < MOST_SHIFTING:
                shifts[entity] = now
        known = self.columns is not None and reference is not None
        return ObservedHistory(
            scores=self.scores.after(bulk_p_values(base, judged.scores, frame.entities)),
            columns=self.columns.after(reference, frame) if known else None,  # type: ignore[union-attr, arg-type]
            shifts=shifts,
            records=self.records + len(frame),
            since_drift=self.since_drift + len(frame) if drifting else 0,
            flagged=self.flagged + int(judged.anomalous.sum()),
        )

    def column_drift(self, reference: Reference | None) -> dict[str, float]:
        """The population stability index of each column; empty with too few records."""
        if self.columns is None or reference is None:
            return {}
        return psi(reference, self.columns)

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
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
        """The inverse of `as_json`."""
        columns = stored["columns"]
        return cls(
            scores=ScoreDrift.from_json(stored["scores"]),
            columns=ColumnCounts.from_json(columns) if columns else None,
            shifts={name: Shift.from_json(shift) for name, shift in stored["shifts"].items()},
            records=stored["records"],
            since_drift=stored["since_drift"],
            flagged=stored.get("flagged", 0),  # older versions did not count them
        )


def new_history(base: Thresholds, reference: Reference | None) -> ObservedHistory:
    """Nothing was judged yet.

    Args:
        base: the lines as drawn at training.
        reference: how the columns were spread in training.
    """
    return ObservedHistory(
        scores=watch_scores(base.pooled),
        columns=first_counts(reference) if reference is not None else None,
        shifts={},
    )


def rows_of(judged: Judgement, rows: npt.NDArray[np.bool_]) -> Judgement:
    """The verdicts on some of N records."""
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
