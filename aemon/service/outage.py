"""A store that is away: who waits for it, how long, and what is written when it is back."""

import logging
import random
import threading
from collections import deque
from datetime import datetime, timedelta

from aemon.clock import Clock, format_duration
from aemon.errors import AemonError, StoreError
from aemon.records import RunReport
from aemon.service.logs import log
from aemon.service.metrics import Metrics
from aemon.store.ledger import save_run
from aemon.store.store import Store

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
MOST_WAITING = 20_000  # ended runs kept for the ledger; a thousand monitors' of twenty minutes

logger = logging.getLogger(__name__)


class Outage:
    """Keeps runs away from a store that failed, longer after every failure; one may try."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._not_before: datetime | None = None

    def waits(self) -> str:
        """Why a run should not try the store now; empty if it may.

        The one that may tries for all: until it is known how that went, the others wait on.
        """
        with self._lock:
            now = self._clock()
            if self._not_before is None:
                return ""
            left = self._not_before - now
            # A clock that was set back must not make the pause longer.
            if timedelta(0) < left <= LONGEST_PAUSE * 2:
                return f"the store fails; it is tried again in {_rounded(left)}"
            self._not_before = now + self._pause()
            return ""

    @property
    def is_on(self) -> bool:
        """Whether the store failed and has not been written since."""
        return self._failures > 0

    def failed(self) -> None:
        """The store could not be read or written."""
        with self._lock:
            self._failures += 1
            pause = self._pause()
            self._not_before = self._clock() + pause
        self._metrics["aemon_store_errors"].inc()
        self._metrics["aemon_store_up"].set(0)
        self._metrics["aemon_store_retry_timestamp_seconds"].set(self._not_before.timestamp())

    def ended(self) -> None:
        """The store was written."""
        with self._lock:
            was_away, self._failures, self._not_before = self._failures, 0, None
        if was_away:
            self._metrics["aemon_store_up"].set(1)
            self._metrics["aemon_store_retry_timestamp_seconds"].set(0)
            log(logger, logging.INFO, "store.back", "the store can be written again")

    def _pause(self) -> timedelta:
        longest: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.8, 1.2)  # noqa: S311 -- several daemons come back apart


class Ledger:
    """Writes ended runs into the store; those it cannot write wait, in order, until it can."""

    def __init__(self, store: Store, metrics: Metrics, outage: Outage) -> None:
        self._store = store
        self._metrics = metrics
        self._outage = outage
        self._waiting: deque[tuple[RunReport, int | None]] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()

    def save(self, report: RunReport, run_id: int | None, *, at_once: bool) -> None:
        """Write a run, and those that wait before it; not `at_once`, with the next that is.

        A run that has just failed at the store need not try again for its own row.
        """
        self._waiting.append((report, run_id))
        if at_once:
            self.flush()

    def flush(self) -> bool:
        """Write what waits; whether all of it is written."""
        with self._lock:
            while self._waiting:
                report, run_id = self._waiting[0]
                try:
                    save_run(self._store, report, run_id)
                except StoreError as error:
                    self._outage.failed()
                    log(logger, logging.ERROR, "ledger.failed", str(error), monitor=report.monitor)
                    break
                except AemonError as error:
                    log(logger, logging.ERROR, "ledger.failed", str(error), monitor=report.monitor)
                self._waiting.popleft()
                self._outage.ended()
            self._metrics["aemon_ledger_waiting_runs"].set(len(self._waiting))
            return not self._waiting


def _rounded(left: timedelta) -> str:
    return format_duration(timedelta(seconds=max(1, round(left.total_seconds()))))
