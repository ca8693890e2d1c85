"""The state of a source after its earlier records, which judging the next records needs."""

from dataclasses import dataclass, field

from aemon.detection.features.checks.repeats import Repeats
from aemon.detection.features.increases import Counts
from aemon.detection.operation.starts import Starts
from aemon.detection.series.tails import Tails


@dataclass(frozen=True, kw_only=True)
class Past:
    """State after the earlier records of a source, for the next records; empty at first.

    Attributes:
        repeats: for each entity, the last number of each column and how often it was repeated.
        tails: the last records of each entity; empty if windows are not judged.
        counts: the last number of each counter column.
        starts: for each entity, the time at which the operating condition began to hold; empty if
            no settling time is configured.
        latest: the last numbers of each entity, for derived columns; empty if no derived column is
            configured.
    """

    repeats: Repeats = field(default_factory=Repeats)
    tails: Tails = field(default_factory=Tails)
    counts: Counts = field(default_factory=Counts)
    starts: Starts = field(default_factory=Starts)
    latest: Tails = field(default_factory=Tails)
