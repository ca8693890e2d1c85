"""What a run counts, and the report it ends with: the ledger row and the metrics are made of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import add
from typing import Any

from aemon.errors import Remedy
from aemon.records import DriftReport, Job, OpenEpisodes, Outcome, TrafficReport, UnreadableColumn

Counts = Mapping[str, int]
"""Reason or severity -> how many."""


def _merged(first: Counts, second: Counts) -> Counts:
    return Counter(first) + Counter(second)  # counts of zero are left out


def _latest(first: Any, second: Any) -> Any:
    return second or first


def _largest(first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return max(known, default=None)


def _largest_each(first: Mapping[str, float], second: Mapping[str, float]) -> Mapping[str, float]:
    return {
        name: max(values.get(name, 0.0) for values in (first, second))
        for name in {**first, **second}
    }


def _added_each(
    first: Mapping[str, UnreadableColumn], second: Mapping[str, UnreadableColumn]
) -> Mapping[str, UnreadableColumn]:
    both = {**first, **second}
    return both | {name: first[name] + second[name] for name in first.keys() & second.keys()}


_ADDED = {"plus": add}
_MERGED = {"plus": _merged}
_LATEST = {"plus": _latest}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunCounts:
    """What a run has counted; `+` adds what it counts next.

    The one list of a run's counts: the ledger writes those that `runs` has a column for, and the
    metrics are made of them.

    Attributes:
        records_read: records that the source returned.
        records_scored: records judged for the first time.
        records_absent: scored records with too little there to judge.
        records_idle: scored records that were not judged, for the machine was not at work.
        records_undecided: those of them that lack a cell that would tell whether it was.
        records_late: scored records older than one read before.
        records_revised: records judged again, for they changed.
        records_reviewed: known records read again to look for late and corrected ones.
        records_too_late: records later than lateness allows, which are not judged.
        keys_given_up: missing keys of the source that are no longer looked for.
        cells_imputed: judged cells that were missing.
        critical: anomalies above the critical threshold.
        rejected: reason -> records that could not be judged.
        suppressed: reason -> records over the threshold that were kept quiet.
        episodes_opened: severity -> episodes reported now.
        exceedances: of the anomalies.
        store_seconds: how long each commit took.
        largest_exceedance: over all records scored.
        unreadable: column -> its cells that could not be read, where those were most of a fetch.
        by_entity: entity -> its largest exceedance, where that is shown.
        newest_record: event time of the newest record read.
        records_wanted: in a cold start, how many records end it.
        unfinished: whether the source has more to read at once.
        episodes_open: the episodes that are open; None until they were counted.
        drift: None where nothing was judged.
        traffic: as `drift`.
        ruling: of a trial that ended: promote or reject.
    """

    records_read: int = field(default=0, metadata=_ADDED)
    records_scored: int = field(default=0, metadata=_ADDED)
    records_absent: int = field(default=0, metadata=_ADDED)
    records_idle: int = field(default=0, metadata=_ADDED)
    records_undecided: int = field(default=0, metadata=_ADDED)
    records_late: int = field(default=0, metadata=_ADDED)
    records_revised: int = field(default=0, metadata=_ADDED)
    records_reviewed: int = field(default=0, metadata=_ADDED)
    records_too_late: int = field(default=0, metadata=_ADDED)
    keys_given_up: int = field(default=0, metadata=_ADDED)
    cells_imputed: int = field(default=0, metadata=_ADDED)
    critical: int = field(default=0, metadata=_ADDED)
    rejected: Counts = field(default_factory=dict, metadata=_MERGED)
    suppressed: Counts = field(default_factory=dict, metadata=_MERGED)
    episodes_opened: Counts = field(default_factory=dict, metadata=_MERGED)
    exceedances: tuple[float, ...] = field(default=(), metadata=_ADDED)
    store_seconds: tuple[float, ...] = field(default=(), metadata=_ADDED)
    largest_exceedance: float | None = field(default=None, metadata={"plus": _largest})
    unreadable: Mapping[str, UnreadableColumn] = field(
        default_factory=dict, metadata={"plus": _added_each}
    )
    by_entity: Mapping[str, float] = field(default_factory=dict, metadata={"plus": _largest_each})
    newest_record: datetime | None = field(default=None, metadata=_LATEST)
    records_wanted: int = field(default=0, metadata=_LATEST)
    unfinished: bool = field(default=False, metadata=_LATEST)
    episodes_open: OpenEpisodes | None = field(default=None, metadata=_LATEST)
    drift: DriftReport | None = field(default=None, metadata=_LATEST)
    traffic: TrafficReport | None = field(default=None, metadata=_LATEST)
    ruling: str = field(default="", metadata=_LATEST)

    def __add__(self, more: "RunCounts") -> "RunCounts":
        """Return both counts together; of what is no count, the later one."""
        return RunCounts(
            **{
                one.name: one.metadata["plus"](getattr(self, one.name), getattr(more, one.name))
                for one in fields(self)
            }
        )

    @property
    def anomalies(self) -> int:
        """How many records were judged anomalous."""
        return len(self.exceedances)

    @property
    def summary(self) -> tuple[str, ...]:
        """What a person should know of the cells that were read, a sentence each."""
        found = [*map(str, self.unreadable.values())]
        if self.records_undecided:
            found.append(
                f"{self.records_undecided} records lack a cell that columns.only_when asks for: "
                "they are not judged"
            )
        if 0 < self.records_idle == self.records_scored:
            found.append("columns.only_when holds for none of them: no record was judged")
        return tuple(found)

    @property
    def records_suppressed(self) -> int:
        """How many records were over the threshold, but kept quiet."""
        return sum(self.suppressed.values())

    @property
    def records_rejected(self) -> int:
        """How many records could not be judged at all."""
        return sum(self.rejected.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """How one run ended, and what it counted.

    Attributes:
        detector_id: who judged, or what was trained.
        remedy: what to do about the error that ended it; None if none did.
    """

    monitor: str
    job: Job
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    reason: str = ""
    detector_id: int | None = None
    threshold_id: int | None = None
    counts: RunCounts = field(default_factory=RunCounts)
    remedy: Remedy | None = None

    @property
    def seconds(self) -> float:
        """How long the run took, in seconds."""
        return (self.finished_at - self.started_at).total_seconds()
