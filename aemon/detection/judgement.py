"""What a detector says of records: verdicts for many, explanations for few."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aemon.records import Severity, Verdict

Value = float | bool | str | None
"""A cell in its original units; None where it is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """The verdicts on N records.

    Attributes:
        scores: (N,) higher is odder; 1 is usual.
        p_values: (N,) how often a normal record scores as high or higher.
        exceedances: (N,) score / its line; 1 is the line.
        anomalous: (N,) over the line; never where absent.
        absent: (N,) more than half of the judged cells are missing.
        critical: (N,) anomalous and over the critical line, too.
        imputed_shares: (N,) share of the judged cells that are missing.
        cells_imputed: missing judged cells in all.
    """

    scores: npt.NDArray[np.float64]
    p_values: npt.NDArray[np.float64]
    exceedances: npt.NDArray[np.float64]
    anomalous: npt.NDArray[np.bool_]
    absent: npt.NDArray[np.bool_]
    critical: npt.NDArray[np.bool_]
    imputed_shares: npt.NDArray[np.float64]
    cells_imputed: int

    def __len__(self) -> int:
        return len(self.scores)

    def severity(self, row: int) -> Severity:
        """How far over the line the anomaly at a row is."""
        return Severity.CRITICAL if self.critical[row] else Severity.WARNING

    @property
    def verdicts(self) -> npt.NDArray[np.str_]:
        """The `Verdict` of each record, as text (N,)."""
        flagged = np.where(self.anomalous, Verdict.ANOMALY.value, Verdict.NORMAL.value)
        return np.where(self.absent, Verdict.ABSENT.value, flagged)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contribution:
    """One column's part in a record's score.

    `rank` is 1 for the column most to blame, `share` its part of the blame, which no later rank
    exceeds and which add up to 1; `error` is that share of the record's squared gap from what is
    expected, in usual gaps.
    """

    column: str
    observed: Value
    reconstructed: Value
    error: float
    share: float
    rank: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why a record scored as it did, in original units."""

    observed: dict[str, Value]
    reconstructed: dict[str, Value]
    contributions: tuple[Contribution, ...]  # of the judged columns, largest share first
    reason: str
