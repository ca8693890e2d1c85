"""One run of a job: how it is asked to stop, what it counts, how it is called."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from aemon.errors import SkipError
from aemon.records import Job, Outcome
from aemon.run_report import RunCounts, RunReport


class AbandonedError(SkipError):
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
class Run:
    """One execution of a job while it goes on; what it has counted survives its failure.

    Attributes:
        counts: what it has counted so far, of what was committed alone.
        detector_id: who judges, or what was trained.
        started_at: aware UTC; None where nobody keeps it.
        id: its row in the ledger, once something was committed.
    """

    counts: RunCounts = field(default_factory=RunCounts)
    detector_id: int | None = None
    threshold_id: int | None = None
    started_at: datetime | None = None
    id: int | None = None

    def count(self, **more: Any) -> None:
        """Add to what was counted: fields of `RunCounts` by name."""
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
    """One execution of a job: it counts into the run and says how it ended."""

    def __call__(self, run: Run, stop: Stop) -> tuple[Outcome, str]:
        """Do the work; errors are the runner's to catch."""
