"""What the records of a source leave behind for those that come after them."""

from dataclasses import dataclass, field

from aemon.detection.features.checks.repeats import Repeats
from aemon.detection.features.increases import Counts
from aemon.detection.operation.starts import Starts
from aemon.detection.series.tails import Tails


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was seen of the records before those to come; of nobody, to begin with.

    Attributes:
        repeats: which numbers they repeated last.
        tails: the last records of each entity, where windows are judged.
        counts: the last numbers of counters.
        starts: since when each entity has been at work, where that counts.
    """

    repeats: Repeats = field(default_factory=Repeats)
    tails: Tails = field(default_factory=Tails)
    counts: Counts = field(default_factory=Counts)
    starts: Starts = field(default_factory=Starts)
