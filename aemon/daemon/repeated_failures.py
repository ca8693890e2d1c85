"""Failures that repeat: the log tells the first, then one an hour with how many there were."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from aemon.records import Job, Outcome

AGAIN_AFTER_SECONDS = 3600.0
_NUMBERS = re.compile(r"\d+")  # how often, how long and how many differ from run to run


@dataclass
class _Reported:
    """What was told of a monitor's job last, and how often it failed so since."""

    failure: tuple[Outcome, str]
    at: float
    untold: int = 0


class RepeatedFailures:
    """Knows which failure of each monitor's jobs was told last.

    Args:
        steady: seconds that pass, whatever the clock is set to.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._told: dict[tuple[str, Job], _Reported] = {}
        self._lock = threading.Lock()

    def times(self, monitor: str, job: Job, outcome: Outcome, reason: str) -> int:
        """Return for how many failures a line in the log stands; 0 if there should be none.

        Args:
            monitor: whose run failed.
            job: which of its jobs.
            outcome: how the run ended.
            reason: why; numbers apart, equal ones are one failure.
        """
        failure = outcome, _NUMBERS.sub("0", reason)
        now = self._steady()
        with self._lock:
            told = self._told.get((monitor, job))
            if told is not None and told.failure == failure:
                told.untold += 1
                if now < told.at + AGAIN_AFTER_SECONDS:
                    return 0
                times, told.untold, told.at = told.untold, 0, now
                return times
            self._told[(monitor, job)] = _Reported(failure, now)
            return 1

    def ended_well(self, monitor: str, job: Job) -> None:
        """Forget what was told: the next failure is news."""
        with self._lock:
            self._told.pop((monitor, job), None)
