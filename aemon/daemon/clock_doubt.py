"""Doubts about the clock: if it was set ahead, removal by age would delete too much."""

import time
from collections.abc import Callable
from datetime import timedelta

from aemon.clock import LEAST_STEP, Clock, ClockSteps, format_duration
from aemon.store.ledger import resumes_after
from aemon.store.store import Store

HOLD = timedelta(days=1)  # of work at the new time, in which a person may correct the clock
LEAST_GAP = timedelta(hours=1)  # without runs: a daemon that was off looks like a wrong clock
TICKS_IN_GAP = 2  # pauses of the monitor that runs most often

_TODO = "`aemon db prune` removes at once"


class ClockDoubt:
    """A comparison of the clock with the machine's steady clock and with the times in the ledger.

    The ledger shows a step before the last start as a gap longer than the pause between runs.

    Args:
        store: the store whose ledger shows when aemon worked.
        clock: the time, which a person or NTP may set.
        steady: a clock in seconds that nothing sets.
    """

    def __init__(
        self, store: Store, clock: Clock, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._steps = ClockSteps(clock, HOLD, steady)

    def reason(self, pause: timedelta) -> str:
        """Return why nothing should be removed by age yet; empty if ages can be trusted.

        Args:
            pause: the pause between two runs of the monitor that runs most often.

        Raises:
            StoreError: the database fails.
        """
        now, set_ahead = self._steps.look()
        if set_ahead > LEAST_STEP:
            ahead = format_duration(timedelta(minutes=1) * (set_ahead // timedelta(minutes=1)))
            return f"the clock was set ahead by {ahead}; removal waits for a day: {_TODO}"
        gap = max(LEAST_GAP, TICKS_IN_GAP * pause)
        if resumes_after(self._store, now - HOLD - gap, now - HOLD):
            return (
                f"results begin again after a gap of more than {format_duration(gap)}; removal "
                f"waits until they are a day old, as the clock may be wrong: {_TODO}"
            )
        return ""
