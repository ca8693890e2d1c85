"""A store that is away: who waits for it, how long, and what is written when it is back."""

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
"""A store that has not taken one row for so long is away, though it has not said so."""
PATIENCE_WHEN_AWAY_SECONDS = 1.0  # with one that is away already
MOST_WAITING = 20_000  # ended runs kept for the ledger; a thousand monitors' of twenty minutes

logger = logging.getLogger(__name__)


class Outage:
    """Keeps runs away from a store that failed, longer after every failure; one may try."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0  # in a row, each of one that was let through to try
        self._tried = False  # whether one was, and it is not known how that went
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
            self._tried = True
            self._wait_from(now)
            return ""

    @property
    def is_on(self) -> bool:
        """Whether the store failed and has not been written since."""
        return self._failures > 0

    def failed(self) -> None:
        """The store could not be read or written.

        Runs that were under way when it went fail one after another: only the first lengthens the
        pause, as does everyone's that was let through to try.
        """
        self._metrics.store_errors.inc()
        with self._lock:
            if self._failures == 0 or self._tried:
                self._failures += 1
                self._tried = False
                self._wait_from(self._clock())
            self._metrics.store_up.set(0)

    def ended(self) -> None:
        """The store was written."""
        with self._lock:
            was_away, self._failures, self._not_before = self._failures, 0, None
            self._tried = False
            if was_away:
                self._metrics.store_up.set(1)
                self._metrics.store_retry_timestamp_seconds.set(0)
        if was_away:
            log(logger, logging.INFO, Action.STORE_BACK, "the store can be written again")

    def _wait_from(self, now: datetime) -> None:
        self._not_before = now + self._pause()
        self._metrics.store_retry_timestamp_seconds.set(self._not_before.timestamp())

    def _pause(self) -> timedelta:
        longest: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.8, 1.2)  # noqa: S311 -- several daemons come back apart


class Ledger:
    """Writes ended runs into the store; those it cannot write wait, in order, until it can.

    They are written in a thread of their own: a store that hangs takes only that one with it.
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
        """Write a run, and those that wait before it; not `at_once`, with the next that is.

        A run that has just failed at the store need not try again for its own row.
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
        """Write what waits; whether all of it is written.

        What takes longer than patience allows is written on, and not waited for.
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
        """Whether the row being written has been for longer than that."""
        return self._row_began is not None and time.monotonic() - self._row_began >= patience

    def _write(self) -> None:
        """In the ledger's thread, until nothing waits or the store fails."""
        more = True
        while more:
            more = False
            try:
                more = self._write_first()
            finally:
                with self._state:
                    # In one step: whoever saves a run now either is seen here or begins anew.
                    more = more and bool(self._waiting)
                    self._row_began = time.monotonic() if more else None
                    self._state.notify_all()

    def _write_first(self) -> bool:
        """Write the run that has waited longest; whether the next can be tried."""
        with self._state:
            entry = self._waiting[0]
        report, run_id = entry
        try:
            save_run(self._store, report, run_id)
        except StoreError as error:
            self._outage.failed()
            log(logger, logging.ERROR, Action.LEDGER_FAILED, str(error), monitor=report.monitor)
            return False
        except Exception as error:  # noqa: BLE001 -- one odd row must not hold up all others
            told = str(error) if isinstance(error, AemonError) else repr(error)
            log(logger, logging.ERROR, Action.LEDGER_DROPPED, told, monitor=report.monitor)
        with self._state:
            if self._waiting[0] is entry:  # not if it was dropped for being one too many
                self._waiting.popleft()
            self._count_waiting()
        self._outage.ended()
        return True

    def _count_waiting(self) -> None:
        self._metrics.ledger_waiting_runs.set(len(self._waiting))


def _rounded(left: timedelta) -> str:
    return format_duration(timedelta(seconds=max(1, round(left.total_seconds()))))
