"""Doubts about the clock: with a clock that is ahead, removal by age would delete too much."""

import time
from collections.abc import Callable
from datetime import timedelta

from aemon.clock import LEAST_STEP, Clock, ClockSteps, format_duration
from aemon.store.ledger import resumes_after
from aemon.store.store import Store

HOLD = timedelta(days=1)  # time after a step of the clock in which a person may correct the clock
LEAST_GAP = timedelta(hours=1)  # least time without runs that looks like a step of the clock
TICKS_IN_GAP = 2  # least length of such a gap, in pauses of the monitor that runs most often

_TODO = "`aemon db prune` removes at once"


class ClockDoubt:
    """A comparison of the clock with the machine's steady clock and with the times in the ledger.

    If the clock was set ahead before the last start, the ledger has a gap that is longer than the
    pause between two runs. The gap of a daemon that was not running looks the same.

    Args:
        store: the store, which has the ledger.
        clock: the time, which a person or NTP may set.
        steady: a steady clock in seconds, which does not change when the time is set.
    """

    def __init__(
        self, store: Store, clock: Clock, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._steps = ClockSteps(clock, HOLD, steady)

    def reason(self, pause: timedelta) -> str:
        """Return the reason why removal by age must wait; empty if the clock can be trusted.

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
                f"waits until these results are a day old, because the clock may be wrong: {_TODO}"
            )
        return ""
