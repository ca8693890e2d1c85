"""Whether ages can be trusted: a clock that was set ahead would have everything removed as too old."""

import time
from collections.abc import Callable
from datetime import timedelta

from aemon.clock import Clock, format_duration
from aemon.store.ledger import resumes_after
from aemon.store.store import Store

LEAST_STEP = timedelta(minutes=1)  # less is a clock that is slewed
DRIFT = 1e-3  # share of the time passed by which clocks may part; NTP slews by half of that
HOLD = timedelta(days=1)  # of work by a new time, in which a person may correct it
GAP = timedelta(days=7)  # without a run; a daemon that was off for so long looks like a wrong clock

_TODO = "`aemon db prune` removes at once"


class ClockDoubt:
    """Compares the clock with the steady one of the machine, and with the times in the ledger.

    Args:
        store: whose ledger shows when aemon worked.
        clock: the time, which a person or NTP may set.
        steady: seconds that pass, whatever the clock is set to.
    """

    def __init__(
        self, store: Store, clock: Clock, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._clock_at, self._steady_at = clock(), steady()
        self._ahead = timedelta(0)  # by how much the clock was set, in all
        self._hold_until = 0.0  # by the steady clock

    def reason(self) -> str:
        """Return why nothing should be removed by age yet; empty if ages can be trusted.

        Raises:
            StoreError: the database fails.
        """
        now, steady = self._clock(), self._steady()
        passed = timedelta(seconds=steady - self._steady_at)
        step = now - self._clock_at - passed
        self._clock_at, self._steady_at = now, steady
        if abs(step) > LEAST_STEP + DRIFT * passed:
            self._ahead += step
            self._hold_until = steady + HOLD.total_seconds()
        if steady >= self._hold_until:
            self._ahead = timedelta(0)
        if self._ahead > LEAST_STEP:
            ahead = format_duration(timedelta(minutes=self._ahead // timedelta(minutes=1)))
            return f"the clock was set ahead by {ahead}; removal waits for a day: {_TODO}"
        if resumes_after(self._store, now - GAP, now - HOLD):
            return (
                "results begin again after a gap of more than a week; removal waits until they "
                f"are a day old, as the clock may be wrong: {_TODO}"
            )
        return ""
