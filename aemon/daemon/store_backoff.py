"""Outages of the store: pauses of the runs, and ledger rows that wait to be written."""

import logging
import random
import threading
import time
from collections import deque
from datetime import datetime, timedelta

from aemon.clock import Clock, format_duration
from aemon.errors import AemonError, ResourceError, StoreError
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics
from aemon.run_report import RunReport
from aemon.store.engine import BUSY_TIMEOUT_SECONDS
from aemon.store.ledger import save_run
from aemon.store.store import Store
from aemon.threads import start_thread

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
PATIENCE_SECONDS: float = BUSY_TIMEOUT_SECONDS
"""Longest time for writing one row.

After this time, the store counts as failed, even without an error.
"""
PATIENCE_WHEN_AWAY_SECONDS = 1.0  # the same time, during an outage
MOST_WAITING = (
    20_000  # ended runs that wait: a run a minute of a thousand monitors, for twenty minutes
)

logger = logging.getLogger(__name__)


class Outage:
    """The state of the store: in an outage or not.

    During an outage all runs wait. After each pause, one run tries the store. Each further failure
    makes the pause longer.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0  # the first failure, and later failures of runs that tried
        self._tried = False  # whether a run is trying the store and has no result yet
        self._not_before: datetime | None = None

    def waits(self) -> str:
        """Return the reason why a run must not use the store now; empty if the run may use it.

        During an outage, only one run at a time tries the store. Until its result is known, all
        other runs wait.
        """
        with self._lock:
            now = self._clock()
            if self._not_before is None:
                return ""
            left = self._not_before - now
            # A clock that was set back must not make the pause longer.
            if timedelta(0) < left <= LONGEST_PAUSE * 2:
                return f"the store fails; it is tried again in {_rounded(left)}"
            self._tried = True
            self._wait_from(now)
            return ""

    @property
    def is_on(self) -> bool:
        """Whether the store has failed, and no write has succeeded since the failure."""
        return self._failures > 0

    def failed(self) -> None:
        """Note that the store could not be read or written.

        When the store fails, many running runs fail one after another. Only the first failure of
        these runs lengthens the pause. Each failure of a run that tries the store lengthens the
        pause, too.
        """
        self._metrics.store_errors.inc()
        with self._lock:
            if self._failures == 0 or self._tried:
                self._failures += 1
                self._tried = False
                self._wait_from(self._clock())
            self._metrics.store_up.set(0)

    def ended(self) -> None:
        """Note that a write to the store has succeeded: the outage has ended."""
        with self._lock:
            had_failed, self._failures, self._not_before = self._failures, 0, None
            self._tried = False
            if had_failed:
                self._metrics.store_up.set(1)
                self._metrics.store_retry_timestamp_seconds.set(0)
        if had_failed:
            log(logger, logging.INFO, Action.STORE_BACK, "the store can be written again")

    def _wait_from(self, now: datetime) -> None:
        self._not_before = now + self._pause()
        self._metrics.store_retry_timestamp_seconds.set(self._not_before.timestamp())

    def _pause(self) -> timedelta:
        longest: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.8, 1.2)  # noqa: S311 -- daemons return at various times


class Ledger:
    """The writer of ended runs to the ledger.

    Runs that cannot be written wait in order until the store works. A separate thread writes
    the runs, so that a hanging store blocks only this thread.
    """

    def __init__(self, store: Store, metrics: Metrics, outage: Outage) -> None:
        self._store = store
        self._metrics = metrics
        self._outage = outage
        self._waiting: deque[tuple[RunReport, int | None]] = deque(maxlen=MOST_WAITING)
        self._state = threading.Condition()
        self._row_began: float | None = None  # monotonic; None while nothing is being written
        self._short = False  # whether the last thread could not be started

    def save(self, report: RunReport, run_id: int | None, *, at_once: bool) -> None:
        """Write all waiting runs to the ledger, and then an ended run.

        Args:
            report: the report of the run.
            run_id: id of the run's row, if a commit of the run wrote the row; None without a row.
            at_once: False to write the run together with the next run. So a run that failed at the
                store does not try the store again to write its own row.
        """
        with self._state:
            if len(self._waiting) == MOST_WAITING:
                log(
                    logger,
                    logging.ERROR,
                    Action.LEDGER_DROPPED,
                    "too many ended runs wait for the store: the oldest run is dropped",
                )
            self._waiting.append((report, run_id))
            self._count_waiting()
        if at_once:
            self.flush()

    def flush(self) -> bool:
        """Write the waiting runs, and return whether all of them are written.

        After the longest time for one row, the method returns False, and the thread continues to
        write.
        """
        patience = PATIENCE_WHEN_AWAY_SECONDS if self._outage.is_on else PATIENCE_SECONDS
        with self._state:
            if self._row_began is None and self._waiting:
                self._begin_to_write()
            self._state.wait_for(lambda: self._row_began is None or self._hangs(patience), patience)
            written, hangs = not self._waiting, self._hangs(patience)
        if hangs:
            self._outage.failed()
        return written

    def _begin_to_write(self) -> None:
        self._row_began = time.monotonic()
        try:
            start_thread(self._write, "ledger")
        except ResourceError as error:  # the next run tries again
            self._row_began = None
            if not self._short:
                log(logger, logging.ERROR, Action.LEDGER_FAILED, str(error))
            self._short = True
        else:
            self._short = False

    def _hangs(self, patience: float) -> bool:
        """Return whether writing the present row has taken `patience` seconds or longer."""
        return self._row_began is not None and time.monotonic() - self._row_began >= patience

    def _write(self) -> None:
        """Write runs in the ledger's thread, until no run waits or the store fails."""
        more = True
        while more:
            more = False
            try:
                more = self._write_first()
            finally:
                with self._state:
                    # Under the lock: a run that is saved now is seen here or starts a new thread.
                    more = more and bool(self._waiting)
                    self._row_began = time.monotonic() if more else None
                    self._state.notify_all()

    def _write_first(self) -> bool:
        """Write the run that has waited longest; return whether the next run can be tried."""
        with self._state:
            entry = self._waiting[0]
        report, run_id = entry
        try:
            save_run(self._store, report, run_id)
        except StoreError as error:
            self._outage.failed()
            log(logger, logging.ERROR, Action.LEDGER_FAILED, str(error), monitor=report.monitor)
            return False
        except Exception as error:  # noqa: BLE001 -- one bad row must not block all others
            reason = str(error) if isinstance(error, AemonError) else repr(error)
            log(logger, logging.ERROR, Action.LEDGER_DROPPED, reason, monitor=report.monitor)
        with self._state:
            if self._waiting[0] is entry:  # a full queue may have dropped the run meanwhile
                self._waiting.popleft()
            self._count_waiting()
        self._outage.ended()
        return True

    def _count_waiting(self) -> None:
        self._metrics.ledger_waiting_runs.set(len(self._waiting))


def _rounded(left: timedelta) -> str:
    return format_duration(timedelta(seconds=max(1, round(left.total_seconds()))))
