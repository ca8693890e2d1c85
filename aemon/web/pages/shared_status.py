"""The status of the daemon for all pages: read once for all requests of a short time."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from aemon.operations.status_report import StatusPage

LEAST_AGE_SECONDS = 1.0  # a younger status is shown again
PAUSE_FACTOR = 4.0  # and one younger than this many times its own cost: a fifth of a core at most
MOST_KEPT = 16  # results that are made of one status

T = TypeVar("T")


class SharedStatus:
    """A status that requests share, with what was made of it.

    Requests of a short time get the same status, so that many open pages cost no more than a few.

    Args:
        read: reads the status; it may take long.
        clock: monotonic time, in seconds.
    """

    def __init__(
        self, read: Callable[[], StatusPage], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._status: StatusPage | None = None
        self._until = 0.0
        self._made: dict[Any, Any] = {}
        self._making = Lock()

    def __call__(self) -> StatusPage:
        """Return the present status, or one that was read a short time ago.

        Raises:
            StoreError: the database fails.
        """
        with self._lock:
            began = self._clock()
            if self._status is None or began >= self._until:
                self._status = self._read()
                ended = self._clock()
                self._until = ended + max(LEAST_AGE_SECONDS, PAUSE_FACTOR * (ended - began))
                self._made = {}
            return self._status

    def made(self, key: Any, make: Callable[[], T]) -> T:
        """Return what was made of the present status under a key; make it if it is missing.

        Raises:
            AemonError: it cannot be made.
        """
        status = self()
        with self._making:
            made = self._made
            if key not in made:
                began = self._clock()
                result = make()
                with self._lock:
                    self._until += PAUSE_FACTOR * (self._clock() - began)
                    if self._status is status and len(made) < MOST_KEPT:
                        made[key] = result
                return result
            found: T = made[key]
            return found
