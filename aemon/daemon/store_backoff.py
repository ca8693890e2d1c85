"""A store that does not answer: how long runs wait for it, and the ledger rows kept meanwhile."""

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
"""A store that takes longer than this to write one row counts as failed, without an error."""
PATIENCE_WHEN_AWAY_SECONDS = 1.0  # the same, for a store that has failed already
MOST_WAITING = 20_000  # ended runs kept for the ledger: twenty minutes of a thousand monitors

logger = logging.getLogger(__name__)


class Outage:
    """An outage of the store. After each failure the runs wait longer; one run tests the store."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0  # in a row: the first failure, and those of runs that tried
        self._tried = False  # whether a run is trying, and its result is not known yet
        self._not_before: datetime | None = None

    def waits(self) -> str:
        """Return why a run should not use the store now; empty if it may.

        The run that may tries for all: until its result is known, all other runs wait.
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
        """Whether the store failed and has not been written since then."""
        return self._failures > 0

    def failed(self) -> None:
        """Note that the store could not be read or written.

        Runs that were running when the store failed will fail one after another. Of these, only
        the first failure lengthens the pause. Each failure of a run that tries lengthens it, too.
        """
        self._metrics.store_errors.inc()
        with self._lock:
            if self._failures == 0 or self._tried:
                self._failures += 1
                self._tried = False
                self._wait_from(self._clock())
            self._metrics.store_up.set(0)

    def ended(self) -> None:
        """Note that the store was written: the outage is over."""
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
    """The writer of ended runs into the store's ledger.

    Runs that cannot be written wait in order until the store works. A thread of its own writes
    them, so that a store that hangs blocks only this thread.
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
        """Write a run, and before it all runs that wait.

        Args:
            report: the run's report.
            run_id: the id of the run's row, if a commit of the run has written it already.
            at_once: False to write the run together with the next one. A run that has just failed
                at the store does not try the store again for its own row.
        """
        with self._state:
            if len(self._waiting) == MOST_WAITING:
                log(
                    logger,
                    logging.ERROR,
                    Action.LEDGER_DROPPED,
                    "too many ended runs wait for the store",
                )
            self._waiting.append((report, run_id))
            self._count_waiting()
        if at_once:
            self.flush()

    def flush(self) -> bool:
        """Write the waiting runs. Return whether all of them are written.

        If that takes longer than the patience, the thread continues to write, and this returns.
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
        """Return whether the present row has been written for `patience` seconds or longer."""
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
                    # In one step: a run saved now is either seen here or begins a new thread.
                    more = more and bool(self._waiting)
                    self._row_began = time.monotonic() if more else None
                    self._state.notify_all()

    def _write_first(self) -> bool:
        """Write the run that has waited longest. Return whether to try the next one."""
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
            if self._waiting[0] is entry:  # a full queue may have dropped it meanwhile
                self._waiting.popleft()
            self._count_waiting()
        self._outage.ended()
        return True

    def _count_waiting(self) -> None:
        self._metrics.ledger_waiting_runs.set(len(self._waiting))


def _rounded(left: timedelta) -> str:
    return format_duration(timedelta(seconds=max(1, round(left.total_seconds()))))
