"""The counts of a run and its report, from which the ledger row and the metrics are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import add
from typing import Any

from aemon.errors import Remedy
from aemon.records import DriftReport, Job, OpenEpisodes, Outcome, TrafficReport, UnreadableColumn

Counts = Mapping[str, int]
"""Reason or severity -> number of records or episodes."""


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
    """The counts of a run; the operator `+` adds the counts of a later step.

    This class is the only list of a run's counts. The ledger stores the counts that have a column
    in the table `runs`, and the metrics are made from these counts.

    Attributes:
        records_read: records that the source returned.
        records_scored: records judged for the first time.
        records_absent: scored records with too few cells to judge.
        records_idle: scored records that were not judged: `columns.only_when` does not hold.
        records_undecided: idle records that lack a cell which `columns.only_when` needs.
        records_late: scored records that are older than a record read before them.
        records_revised: records judged again, after a change of the record or on request.
        records_reviewed: known records read again to find late and corrected records.
        records_too_late: records that came later than `lateness` allows, and are not judged.
        keys_given_up: missing keys of the source that aemon no longer waits for.
        cells_imputed: judged cells that were missing.
        critical: anomalies above the critical threshold.
        rejected: reason -> number of records that could not be judged.
        suppressed: reason -> number of suppressed records.
        episodes_opened: severity -> number of episodes reported in this run.
        exceedances: the exceedance of each anomaly.
        store_seconds: duration of each commit.
        largest_exceedance: the largest exceedance of all scored records.
        unreadable: column -> the column's unreadable cells; only if most cells of a fetch were
            unreadable.
        by_entity: entity -> the entity's largest exceedance; empty if entities have no metrics.
        newest_record: event time of the newest record read.
        records_wanted: in a cold start, the number of records that the first training needs.
        unfinished: whether the source has more records, which can be read without a pause.
        episodes_open: the open episodes; None until the run has counted them.
        drift: the drift of normal data; None if no record was judged.
        traffic: how records arrive; None if no record was judged.
        ruling: `promote` or `reject` if a trial ended in this run; else empty.
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
        """Return the sums of both counts, and the later value of a field that is not a count."""
        return RunCounts(
            **{
                count.name: count.metadata["plus"](
                    getattr(self, count.name), getattr(more, count.name)
                )
                for count in fields(self)
            }
        )

    @property
    def anomalies(self) -> int:
        """The number of records judged anomalous."""
        return len(self.exceedances)

    @property
    def summary(self) -> tuple[str, ...]:
        """Sentences about unreadable and missing cells, for the run's reason."""
        sentences = [*map(str, self.unreadable.values())]
        if self.records_undecided:
            sentences.append(
                f"{self.records_undecided} records lack a cell that columns.only_when needs: "
                "they are not judged"
            )
        if 0 < self.records_idle == self.records_scored:
            sentences.append("columns.only_when holds for none of the records: none was judged")
        return tuple(sentences)

    @property
    def records_suppressed(self) -> int:
        """The number of suppressed records."""
        return sum(self.suppressed.values())

    @property
    def records_rejected(self) -> int:
        """The number of records that could not be judged."""
        return sum(self.rejected.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """The outcome and the counts of one run.

    Attributes:
        detector_id: number of the detector that judged, or that the run has trained.
        remedy: the reaction to the error that ended the run; None if the run had no error.
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
        """The duration of the run, in seconds."""
        return (self.finished_at - self.started_at).total_seconds()
