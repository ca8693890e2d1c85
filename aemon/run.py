"""One run of a job: how it is asked to stop, what it counts, how it is called."""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from aemon.errors import AemonError
from aemon.records import DriftReport, Job, OpenEpisodes, Outcome, RunReport


class AbandonedError(AemonError):
    """The run was asked to stop; what it had in hand was not written."""


class Stop:
    """Asks a run to end between two commits, and tells it not to write any more."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask the run to end, for a reason it will report."""
        self.reason = reason
        self._event.set()

    def asked(self) -> bool:
        """Whether the run should end."""
        return self._event.is_set()

    def check(self) -> None:
        """The last look before a commit: a run that timed out may come back much later.

        Raises:
            AbandonedError: the run should end.
        """
        if self._event.is_set():
            raise AbandonedError(self.reason)


@dataclass(kw_only=True)
class Tally:
    """What a run has counted so far; it survives the run's failure."""

    records_read: int = 0
    records_scored: int = 0
    records_absent: int = 0
    records_late: int = 0
    records_revised: int = 0
    records_reviewed: int = 0
    records_too_late: int = 0
    cells_imputed: int = 0
    critical: int = 0
    exceedances: list[float] = field(default_factory=list)
    largest_exceedance: float | None = None
    by_entity: dict[str, float] = field(default_factory=dict)  # only where it is shown
    newest_record: datetime | None = None
    records_wanted: int = 0
    unfinished: bool = False  # there is more to read at once
    drift: DriftReport | None = None
    ruling: str = ""  # of a trial that ended
    store_seconds: list[float] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    episodes_opened: Counter[str] = field(default_factory=Counter)
    episodes_open: OpenEpisodes | None = None
    detector_id: int | None = None
    threshold_id: int | None = None
    started_at: datetime | None = None
    run_id: int | None = None  # its row in the ledger, once something was committed

    def copy(self) -> "Tally":
        """One to count into what may be taken back."""
        return replace(
            self,
            exceedances=[*self.exceedances],
            store_seconds=[*self.store_seconds],
            by_entity={**self.by_entity},
            rejected=Counter(self.rejected),
            suppressed=Counter(self.suppressed),
            episodes_opened=Counter(self.episodes_opened),
        )

    def adopt(self, other: "Tally") -> None:
        """Become what a copy has counted."""
        vars(self).update(vars(other))

    def report(
        self,
        monitor: str,
        job: Job,
        outcome: Outcome,
        reason: str,
        times: tuple[datetime, datetime],
    ) -> RunReport:
        """The finished run."""
        return RunReport(
            monitor=monitor,
            job=job,
            outcome=outcome,
            reason=reason,
            detector_id=self.detector_id,
            threshold_id=self.threshold_id,
            started_at=times[0],
            finished_at=times[1],
            records_read=self.records_read,
            records_scored=self.records_scored,
            records_absent=self.records_absent,
            records_late=self.records_late,
            records_revised=self.records_revised,
            records_reviewed=self.records_reviewed,
            records_too_late=self.records_too_late,
            rejected=tuple(sorted((+self.rejected).items())),
            cells_imputed=self.cells_imputed,
            exceedances=tuple(self.exceedances),
            critical=self.critical,
            suppressed=tuple(sorted(self.suppressed.items())),
            episodes_opened=tuple(sorted(self.episodes_opened.items())),
            episodes_open=self.episodes_open,
            largest_exceedance=self.largest_exceedance,
            by_entity=tuple(self.by_entity.items()),
            newest_record=self.newest_record,
            records_wanted=self.records_wanted,
            unfinished=self.unfinished,
            drift=self.drift,
            ruling=self.ruling,
            store_seconds=tuple(self.store_seconds),
        )


class Work(Protocol):
    """One execution of a job: counts into a tally and says how it ended."""

    def __call__(self, tally: Tally, stop: Stop) -> tuple[Outcome, str]:
        """Do the work; errors are the runner's to catch."""
