"""The results of a detector: verdicts on many records, and explanations of a few records."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aemon.detection.past import Past
from aemon.frame import Frame
from aemon.records import Quiet, Severity, UnreadableColumn, Verdict

Value = float | bool | str | None
"""A cell in its original units; None if it is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """The verdicts on N records.

    Attributes:
        scores: (N,) score of each record, about 1 for a usual record; a higher score is more
            unusual.
        p_values: (N,) share of normal records with a score as high or higher.
        exceedances: (N,) score divided by threshold; 1 is the threshold.
        anomalous: (N,) True for records above the threshold that are not suppressed; False for
            absent records.
        absent: (N,) True for records with more than half of the judged cells missing.
        critical: (N,) True for records above the threshold and also above the critical threshold.
        imputed_shares: (N,) share of each record's judged cells that are missing.
        cells_imputed: number of missing judged cells in all records together.
        unreadable: columns in which most cells could not be read; these cells count as missing.
        past: the state after these records, as context for the next records.
        quiet: row -> reason why the record in that row is suppressed, although its score is above
            the threshold.
        idle: (N,) True for records that were not judged because the machine was not working; None
            without idle records.
        undecided: number of idle records in which a cell that the operating condition needs is
            missing.
        raw_scores: (N,) scores before they were smoothed over earlier records; None if each record
            is judged alone.
    """

    scores: npt.NDArray[np.float64]
    p_values: npt.NDArray[np.float64]
    exceedances: npt.NDArray[np.float64]
    anomalous: npt.NDArray[np.bool_]
    absent: npt.NDArray[np.bool_]
    critical: npt.NDArray[np.bool_]
    imputed_shares: npt.NDArray[np.float64]
    cells_imputed: int
    unreadable: tuple[UnreadableColumn, ...] = ()
    past: Past = field(default_factory=Past)
    quiet: Mapping[int, Quiet] = field(default_factory=dict)
    idle: npt.NDArray[np.bool_] | None = None
    undecided: int = 0
    raw_scores: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def severity(self, row: int) -> Severity:
        """Return the severity of the anomaly in one row."""
        return Severity.CRITICAL if self.critical[row] else Severity.WARNING

    @property
    def suppressed(self) -> npt.NDArray[np.bool_]:
        """Mask (N,) of records above the threshold that are suppressed."""
        found = np.zeros(len(self), dtype=bool)
        found[list(self.quiet)] = True
        return found

    @property
    def over_threshold(self) -> npt.NDArray[np.bool_]:
        """Mask (N,) of records that are anomalous or suppressed."""
        return self.anomalous | self.suppressed

    def suppress(self, quiet: Mapping[int, Quiet]) -> "Judgement":
        """Return the same verdicts with the anomalies in these rows suppressed.

        Args:
            quiet: row -> reason why the anomaly is suppressed; replaces all earlier entries of the
                attribute `quiet`.
        """
        anomalous = self.anomalous.copy()
        anomalous[list(quiet)] = False
        return replace(self, anomalous=anomalous, quiet=dict(quiet))

    @property
    def verdicts(self) -> npt.NDArray[np.str_]:
        """The `Verdict` of each record, as text (N,)."""
        texts = np.where(self.anomalous, Verdict.ANOMALY.value, Verdict.NORMAL.value)
        texts = np.where(self.suppressed, Verdict.SUPPRESSED.value, texts)
        texts = np.where(self.absent, Verdict.ABSENT.value, texts)
        return texts if self.idle is None else np.where(self.idle, Verdict.IDLE.value, texts)

    @property
    def unjudged(self) -> npt.NDArray[np.bool_]:
        """Mask (N,) of records that are not judged because they are absent or idle."""
        return self.absent if self.idle is None else self.absent | self.idle

    def among(self, judged: npt.NDArray[np.bool_], *, undecided: int) -> "Judgement":
        """Return verdicts on M records: these N verdicts, and `idle` for all other records.

        Args:
            judged: (M,) True for the N records to which these verdicts belong.
            undecided: number of idle records in which a cell that the operating condition needs is
                missing.
        """

        def wide(values: npt.NDArray[Any], empty: float | bool) -> npt.NDArray[Any]:
            found = np.full(len(judged), empty, dtype=values.dtype)
            found[judged] = values
            return found

        return replace(
            self,
            scores=wide(self.scores, np.nan),
            p_values=wide(self.p_values, np.nan),
            exceedances=wide(self.exceedances, np.nan),
            anomalous=wide(self.anomalous, False),
            absent=wide(self.absent, False),
            critical=wide(self.critical, False),
            imputed_shares=wide(self.imputed_shares, 0.0),
            idle=~judged,
            undecided=undecided,
            raw_scores=None if self.raw_scores is None else wide(self.raw_scores, np.nan),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Contribution:
    """One column's part in a record's score.

    Attributes:
        column: name of the column.
        observed: the observed value.
        reconstructed: the expected value.
        error: the column's part of the squared gap between the record and the expected values, in
            usual gaps. The column's part is `share` times the whole squared gap.
        share: the column's share of the blame, from 0 to 1; shares fall with the rank, and the
            shares of all columns add up to 1.
        rank: 1 for the column that is most to blame, then 2 and so on.
    """

    column: str
    observed: Value
    reconstructed: Value
    error: float
    share: float
    rank: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The explanation of a record's score, in original units."""

    observed: dict[str, Value]
    reconstructed: dict[str, Value]
    contributions: tuple[Contribution, ...]  # one for each judged column, the largest share first
    reason: str


class Looked(Protocol):
    """The result of judging one frame: verdicts now, and explanations on request."""

    @property
    def frame(self) -> Frame:
        """The N judged records, without context rows."""

    @property
    def judgement(self) -> Judgement:
        """The verdicts on the N records."""

    def explain(
        self, rows: npt.NDArray[np.intp], units: Mapping[str, str] | None = None
    ) -> list[Explanation]:
        """Explain the records at these rows, in original units."""


class Judging(Protocol):
    """The interface that a run needs for judging records.

    `Detector` implements this interface; a stack of several detectors may implement it as well.
    """

    @property
    def context_rows(self) -> int:
        """Number of earlier records of the same entity that influence the score of a record."""

    def look(self, frame: Frame, before: Past | None = None) -> Looked:
        """Judge records that were fetched together; the result can explain them on request.

        Args:
            frame: the records, in the order of time.
            before: the state after the earlier records, from `Judgement.past`.

        Raises:
            FrameError: a judged column, the column of modes or a column of the operating condition
                is missing; or no judged column can be read.
        """

    def judge(self, frame: Frame) -> Judgement:
        """Return only the verdicts of `look`.

        Raises:
            FrameError: for the same reasons as `look`.
        """
