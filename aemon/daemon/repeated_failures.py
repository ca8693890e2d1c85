"""Repeated failures: the first failure is logged, and then the number of repetitions every hour."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from aemon.records import Job, Outcome

AGAIN_AFTER_SECONDS = 3600.0
_NUMBERS = re.compile(r"\d+")  # counts and durations differ from run to run


@dataclass
class _Reported:
    """The last logged failure of a monitor's job, and the number of its repetitions since then."""

    failure: tuple[Outcome, str]
    at: float  # in seconds of the steady clock
    unreported: int = 0


class RepeatedFailures:
    """The last logged failure of each job of each monitor.

    Args:
        steady: a steady clock in seconds, which does not change when the time is set.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._reported: dict[tuple[str, Job], _Reported] = {}
        self._lock = threading.Lock()

    def times(self, monitor: str, job: Job, outcome: Outcome, reason: str) -> int:
        """Note a failure; return how many failures must be logged now, as one line; 0 for no line.

        Args:
            monitor: the monitor whose run failed.
            job: the job that failed.
            outcome: outcome of the run.
            reason: reason of the outcome; reasons that differ only in numbers count as the same.
        """
        failure = outcome, _NUMBERS.sub("0", reason)
        now = self._steady()
        with self._lock:
            last = self._reported.get((monitor, job))
            if last is not None and last.failure == failure:
                last.unreported += 1
                if now < last.at + AGAIN_AFTER_SECONDS:
                    return 0
                times, last.unreported, last.at = last.unreported, 0, now
                return times
            self._reported[(monitor, job)] = _Reported(failure, now)
            return 1

    def ended_well(self, monitor: str, job: Job) -> None:
        """Forget the last failure of a job, so that the next failure is logged at once."""
        with self._lock:
            self._reported.pop((monitor, job), None)
