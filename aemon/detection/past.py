"""The context that the records of a source provide for later records."""

from dataclasses import dataclass, field

from aemon.detection.features.checks.repeats import Repeats
from aemon.detection.features.increases import Counts
from aemon.detection.operation.starts import Starts
from aemon.detection.series.tails import Tails


@dataclass(frozen=True, kw_only=True)
class Past:
    """Context from earlier records for the next records; empty at first.

    Attributes:
        repeats: numbers that were repeated last.
        tails: last records of each entity, if windows are judged.
        counts: last numbers of counters.
        starts: since when each entity has been working, if that is used.
    """

    repeats: Repeats = field(default_factory=Repeats)
    tails: Tails = field(default_factory=Tails)
    counts: Counts = field(default_factory=Counts)
    starts: Starts = field(default_factory=Starts)
