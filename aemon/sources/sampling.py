"""Takes samples in a thread at a steady pace, of values whose past cannot be read."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Generic

from aemon.sources.arrivals import Arrivals, Item, Piece
from aemon.threads import start_thread

STOP_SECONDS = 10.0  # `close` waits this long for a sample that hangs

_log = logging.getLogger(__name__)


class Sampler(Generic[Item]):
    """A thread that takes a sample every `pause` and holds the newest samples until `take`.

    The thread starts with the first `take`. A sample that fails is logged, and the next sample is
    taken after the usual pause.

    Args:
        name: name of the thing that is sampled, for logs and for the thread.
        sample: function that takes one sample. It returns None if there is no sample yet: a rate
            compares two readings, so the first reading gives no sample.
        pause: time between two samples.
        most: maximum number of samples held in memory.
    """

    def __init__(
        self, name: str, sample: Callable[[], Item | None], *, pause: timedelta, most: int
    ) -> None:
        self._name = name
        self._sample = sample
        self._pause_seconds = pause.total_seconds()
        self._arrivals: Arrivals[Item] = Arrivals(most)
        self._state = threading.Lock()  # guards the thread, which starts once
        self._sampling = threading.Lock()  # one sample at a time: a rate compares two readings
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, limit: int) -> Piece[Item]:
        """Hand over at most `limit` samples that were not handed over yet, oldest first.

        Raises:
            ResourceError: the machine cannot start another thread.
        """
        self._start()
        return self._arrivals.take(limit)

    def take_sample(self) -> None:
        """Take one sample now."""
        with self._sampling:
            sample = self._sample()
            if sample is not None:
                self._arrivals.put(sample)

    def close(self) -> None:
        """End the thread; `take` still hands over the samples taken before."""
        with self._state:
            self._stop.set()
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _start(self) -> None:
        with self._state:
            if self._thread is not None or self._stop.is_set():
                return
            self._thread = start_thread(self._run, f"sampler:{self._name}")

    def _run(self) -> None:
        while True:
            try:
                self.take_sample()
            except Exception:  # noqa: BLE001 -- the thread must continue
                _log.exception("%s could not be sampled", self._name)
            if self._stop.wait(self._pause_seconds):
                return
