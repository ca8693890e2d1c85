"""Everything that was said of the records of one frame, before any of it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from aemon.detection.arrays import Mask
from aemon.detection.judgement import Explanation, Judgement
from aemon.frame import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """N judged records.

    Attributes:
        frame: the records; no context rows are among them.
        late: (N,) older than a record read before.
        behind: whether they were found behind the watermark: late, corrected, or judged again.
        raw: what the active detector says of them, nothing suppressed.
        judgement: the same, with those suppressed that are to be kept quiet.
        explanations: of the records over the threshold, in order.
        tried: what the detector on trial says of them; None without one.
        representative: (N,) records that show what is normal: there, and in no quiet stretch.
        history: one burst of the history that was learned from: its episode is over.
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
        """Whether every record is late: such records go on with no open episode."""
        return bool(len(self.late) and self.late.all())
