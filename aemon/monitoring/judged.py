"""Results of judging one frame of records, before they are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.arrays import Mask
from aemon.detection.judgement import Explanation, Judgement
from aemon.frame import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """N judged records.

    Attributes:
        frame: the records, without context rows.
        late: (N,) mask of records older than a record read before.
        behind: whether they were read behind the watermark: late, corrected, or judged again.
        raw: judgement of the active detector, without suppression.
        judgement: the same judgement with suppression.
        explanations: explanations of the records above the threshold, in order.
        tried: judgement of the detector on trial; None without one.
        representative: (N,) mask of records that show normal data: present, and not in a
            maintenance window or snooze.
        history: whether the records are unusual records of the history; their episode is over.
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
