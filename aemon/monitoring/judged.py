"""The results of judging one frame of records, before the results are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.arrays import Mask
from aemon.detection.judgement import Explanation, Judgement
from aemon.frame import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """N judged records with their results.

    Attributes:
        frame: the records, without context rows.
        late: (N,) mask of records that are older than a record read earlier.
        behind: whether the records lie before the watermark: they are late, corrected, records of
            the history, or judged again.
        raw: judgement by the active detector, without suppression.
        judgement: judgement by the active detector, with suppression.
        explanations: explanations of the records above the threshold, in the order of the records.
        tried: judgement by the detector on trial; None without a detector on trial, or if the
            records do not fit that detector.
        representative: (N,) mask of records that can show normal data: not absent, not idle, and
            not in a maintenance period or a snoozed period.
        history: whether the records are unusual records of the history; their episodes are closed.
    """

    frame: Frame
    late: Mask
    behind: bool
    raw: Judgement
    judgement: Judgement
    explanations: Sequence[Explanation]
    tried: Judgement | None
    representative: Mask
    history: bool = False

    @property
    def all_late(self) -> bool:
        """Whether every record is late: such records continue no open episode."""
        return bool(len(self.late) and self.late.all())
