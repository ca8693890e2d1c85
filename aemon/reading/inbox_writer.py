"""The thread of an inbox: it writes records when they arrive, before they are judged."""

import logging
import threading
from collections.abc import Callable

from aemon.errors import AemonError
from aemon.logs import Action
from aemon.store.fences import LostLeaseError

WRITE_EVERY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0  # after failures: 2 s, 4 s, ...

logger = logging.getLogger(__name__)


class InboxWriter:
    """A thread that calls `write` every second and when woken, and at the end `finish`.

    It ends when asked to, or if the lease is lost. Errors are logged; the next try follows after a
    longer pause.

    Args:
        monitor: name of the monitor, for logs and the name of the thread.
        write: writes the records that have arrived.
        finish: writes a last time, and closes the stream.
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
        """Start the thread, unless it was started or asked to end before."""
        with self._state:
            if self._thread is not None or self._over.is_set():
                return
            self._thread = threading.Thread(
                target=self._run, name=f"inbox:{self._monitor}", daemon=True
            )
            self._thread.start()

    def wake(self) -> None:
        """Let the thread write at once, without its pause."""
        self._due.set()

    def ask_to_end(self) -> None:
        """Ask the thread to finish; do not wait for it."""
        with self._state:
            self._over.set()
            self._due.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the thread; return whether a thread was started."""
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
        except Exception as error:  # noqa: BLE001 -- no caller is there to raise it to
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
    """Return how long to wait before the next write, after this number of failures in a row.

    >>> [_pause_seconds(failures) for failures in (0, 1, 2, 50)]
    [1.0, 2.0, 4.0, 30.0]
    """
    return min(WRITE_EVERY_SECONDS * 2.0 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
