"""One run of a job: the request to stop it, its counts, and the interface of the work."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from aemon.errors import SkipError
from aemon.records import Job, Outcome
from aemon.run_report import RunCounts, RunReport


class AbandonedError(SkipError):
    """The end of a run that was asked to stop; results that are not committed are not written."""


class Stop:
    """A request that a run ends before its next commit and writes nothing more."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask the run to end; `reason` becomes the reason of its outcome."""
        self.reason = reason
        self._event.set()

    def asked(self) -> bool:
        """Return whether the run should end."""
        return self._event.is_set()

    def check(self) -> None:
        """Check, just before a commit, that the run was not asked to end.

        A run that timed out may continue much later.

        Raises:
            AbandonedError: the run should end.
        """
        if self._event.is_set():
            raise AbandonedError(self.reason)


@dataclass(kw_only=True)
class Run:
    """One execution of a job, in progress. If the run fails, its counts so far are kept.

    Attributes:
        counts: the counts of all steps that were committed so far.
        detector_id: number of the detector that judges, or that the run has trained.
        started_at: aware UTC; None if the caller does not set it.
        id: number of the run's row in the ledger; None until the run commits something.
    """

    counts: RunCounts = field(default_factory=RunCounts)
    detector_id: int | None = None
    threshold_id: int | None = None
    started_at: datetime | None = None
    id: int | None = None

    def count(self, **more: Any) -> None:
        """Add values to the counts; the names are fields of `RunCounts`."""
        self.counts += RunCounts(**more)

    def report(
        self,
        monitor: str,
        job: Job,
        outcome: Outcome,
        reason: str,
        times: tuple[datetime, datetime],
    ) -> RunReport:
        """Return the report of a run that began and ended at these times."""
        return RunReport(
            monitor=monitor,
            job=job,
            outcome=outcome,
            reason=reason,
            detector_id=self.detector_id,
            threshold_id=self.threshold_id,
            started_at=times[0],
            finished_at=times[1],
            counts=self.counts,
        )


class Work(Protocol):
    """A function that does the work of a job, and adds counts to the run."""

    def __call__(self, run: Run, stop: Stop) -> tuple[Outcome, str]:
        """Do the work, and return the outcome and its reason; the runner catches errors."""
