"""What a detector says of records: verdicts for many, explanations for few."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aemon.detection.past import Past
from aemon.frame import Frame
from aemon.records import Quiet, Severity, UnreadableColumn, Verdict

Value = float | bool | str | None
"""A cell in its original units; None where it is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """The verdicts on N records.

    Attributes:
        scores: (N,) higher is odder; 1 is usual.
        p_values: (N,) how often a normal record scores as high or higher.
        exceedances: (N,) score / its line; 1 is the line.
        anomalous: (N,) over the line, and told; never where absent.
        absent: (N,) more than half of the judged cells are missing.
        critical: (N,) over the line and over the critical line, too.
        imputed_shares: (N,) share of the judged cells that are missing.
        cells_imputed: missing judged cells in all.
        unreadable: columns of which most cells could not be read, and are taken as missing.
        past: what they leave behind for the records after them.
        quiet: row -> why the record there is suppressed, though over the line.
        idle: (N,) not judged, for the machine was not at work; None where there is no such record.
        undecided: how many of those lack a cell that would tell whether it was.
        raw_scores: (N,) of a series, before smoothing over the records before; None for others.
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
        """How far over the line the anomaly at a row is."""
        return Severity.CRITICAL if self.critical[row] else Severity.WARNING

    @property
    def suppressed(self) -> npt.NDArray[np.bool_]:
        """Over the line, but kept quiet (N,)."""
        found = np.zeros(len(self), dtype=bool)
        found[list(self.quiet)] = True
        return found

    @property
    def over_threshold(self) -> npt.NDArray[np.bool_]:
        """Anomalous or suppressed (N,)."""
        return self.anomalous | self.suppressed

    def suppress(self, quiet: Mapping[int, Quiet]) -> "Judgement":
        """The same, with the anomalies at these rows kept quiet."""
        anomalous = self.anomalous.copy()
        anomalous[list(quiet)] = False
        return replace(self, anomalous=anomalous, quiet=dict(quiet))

    @property
    def verdicts(self) -> npt.NDArray[np.str_]:
        """The `Verdict` of each record, as text (N,)."""
        flagged = np.where(self.anomalous, Verdict.ANOMALY.value, Verdict.NORMAL.value)
        told = np.where(self.suppressed, Verdict.SUPPRESSED.value, flagged)
        told = np.where(self.absent, Verdict.ABSENT.value, told)
        return told if self.idle is None else np.where(self.idle, Verdict.IDLE.value, told)

    @property
    def unjudged(self) -> npt.NDArray[np.bool_]:
        """Which records have no score (N,): absent or idle."""
        return self.absent if self.idle is None else self.absent | self.idle

    def among(self, judged: npt.NDArray[np.bool_], *, undecided: int) -> "Judgement":
        """Return the same among records that are idle.

        Args:
            judged: (M,) which of M records these N verdicts are on; all others are idle.
            undecided: how many of those lack a cell that would tell whether they are.
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


class Looked(Protocol):
    """What was seen in one look at a frame: verdicts at once, explanations on request."""

    @property
    def frame(self) -> Frame:
        """The N records that were judged; context rows are left out."""

    @property
    def judgement(self) -> Judgement:
        """The verdicts on the N records."""

    def explain(
        self, rows: npt.NDArray[np.intp], units: Mapping[str, str] | None = None
    ) -> list[Explanation]:
        """Explain the records at these rows, in original units."""


class Judging(Protocol):
    """What a run needs of a detector; one detector fulfils it, and so may many stacked ones."""

    @property
    def context_rows(self) -> int:
        """Return how many records before one, of its entity, tell how odd it is."""

    def look(self, frame: Frame, before: Past | None = None) -> Looked:
        """Look once at records that were fetched together.

        Args:
            frame: the records, in the order of time.
            before: what the records before these left behind, as `Judgement.past` says.

        Raises:
            FrameError: a column that was learned from is missing, or no judged column can be read.
        """

    def judge(self, frame: Frame) -> Judgement:
        """Return the verdicts alone, as `look` has them.

        Raises:
            FrameError: as `look`.
        """
