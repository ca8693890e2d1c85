"""The thread of an inbox, which writes records to the store when they arrive."""

import logging
import threading
from collections.abc import Callable

from aemon.errors import AemonError
from aemon.logs import Action
from aemon.store.fences import LostLeaseError

WRITE_EVERY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0  # pauses after failures grow: 2 s, 4 s, ... up to this pause

logger = logging.getLogger(__name__)


class InboxWriter:
    """A thread that calls `write` every second and after `wake`, and calls `finish` at its end.

    The thread ends after `ask_to_end`, or if the replica has lost the lease of the monitor. Errors
    of `write` are logged, and `write` is called again after a longer pause.

    Args:
        monitor: name of the monitor, for logs and for the name of the thread.
        write: a function that writes the arrived records.
        finish: a function that writes a last time and closes the stream.
    """

    def __init__(
        self, monitor: str, write: Callable[[], object], finish: Callable[[], None]
    ) -> None:
        self._monitor = monitor
        self._write = write
        self._finish = finish
        self._over = threading.Event()
        self._due = threading.Event()
        self._state = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; do nothing if the thread was already started or asked to end."""
        with self._state:
            if self._thread is not None or self._over.is_set():
                return
            self._thread = threading.Thread(
                target=self._run, name=f"inbox:{self._monitor}", daemon=True
            )
            self._thread.start()

    def wake(self) -> None:
        """Make the thread call `write` now, without waiting for the end of its pause."""
        self._due.set()

    def ask_to_end(self) -> None:
        """Ask the thread to end; return without waiting for the end."""
        with self._state:
            self._over.set()
            self._due.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds for the end of the thread.

        Return False at once if the thread was never started, else True.
        """
        if self._thread is None:
            return False
        self._thread.join(seconds)
        return True

    def _run(self) -> None:
        failures, last_message = 0, ""
        pause_seconds = 0.0  # the first write opens the stream
        while not self._is_over_after(pause_seconds):
            try:
                self._write()
            except LostLeaseError:
                break
            except Exception as error:  # noqa: BLE001 -- the thread must continue
                failures += 1
                if str(error) != last_message:
                    self._log(error)
                last_message = str(error)
            else:
                failures, last_message = 0, ""
            pause_seconds = _pause_seconds(failures)
        try:
            self._finish()
        except Exception as error:  # noqa: BLE001 -- a thread has no caller that could catch it
            self._log(error)

    def _is_over_after(self, pause_seconds: float) -> bool:
        """Wait until the next write is due; return whether the thread was asked to end."""
        self._due.wait(pause_seconds)
        self._due.clear()
        return self._over.is_set()

    def _log(self, error: Exception) -> None:
        foreseen = isinstance(error, AemonError)
        logger.log(
            logging.WARNING if foreseen else logging.ERROR,
            str(error) if foreseen else "",
            extra={"action": Action.INBOX_FAILED, "monitor": self._monitor},
            exc_info=None if foreseen else error,
        )


def _pause_seconds(failures: int) -> float:
    """Return the seconds to wait before the next write, after a number of failures in a row.

    >>> [_pause_seconds(failures) for failures in (0, 1, 2, 50)]
    [1.0, 2.0, 4.0, 30.0]
    """
    return min(WRITE_EVERY_SECONDS * 2.0 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
