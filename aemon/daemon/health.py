"""How the daemon is: told to systemd, to health checks, and to whoever asks for its status."""

import time
from collections.abc import Callable, Mapping

from aemon.daemon.leasing import Leasing
from aemon.daemon.scheduler import HEARTBEAT_SECONDS, SCORING_AT_ONCE, Scheduler
from aemon.errors import AemonError
from aemon.monitoring.monitor import Monitor
from aemon.operations.status_report import Health
from aemon.store import episodes
from aemon.store.store import Store

HEARTBEAT_LOST_SECONDS = 6 * HEARTBEAT_SECONDS


class Condition:
    """Knows whether the scheduler lives, and sums up what the daemon does.

    Args:
        store: asked for open episodes.
        scheduler: whose heartbeat is the daemon's.
        leasing: what is watched here.
        monitors: the daemon's own, as they come and go.
        dead: the name of a thread that runs depend on and that has ended; empty if none has.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        leasing: Leasing,
        monitors: Mapping[str, Monitor],
        dead: Callable[[], str],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._leasing = leasing
        self._monitors = monitors
        self._dead = dead
        self._beat_at: float | None = None  # monotonic, whatever the clock is set to

    def beat(self) -> None:
        """The scheduler lives."""
        self._beat_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the scheduler's heartbeat is recent, and every thread that runs need lives."""
        age = self._age()
        return age is not None and age < HEARTBEAT_LOST_SECONDS and not self._dead()

    def health(self) -> Health:
        """For whoever decides whether to restart the daemon: a busy one need not be."""
        return Health(
            started=self._beat_at is not None,
            alive=self.alive,
            heartbeat_age_seconds=self._age(),
            busy=self._busy(),
            dead_thread=self._dead(),
        )

    def line(self) -> str:
        """How it is in one line: `12 monitors, 3 learning, 1 episode open`."""
        held = self._leasing.held
        learning = sum(self._learns(name) for name in held)
        told = [_counted(len(held), "monitor")]
        if learning:
            told.append(f"{learning} learning")
        try:
            with self._store.reading() as connection:
                count = episodes.total_open(connection, [*held])
        except AemonError:
            told.append("the store does not answer")
        else:
            if count:
                told.append(f"{_counted(count, 'episode')} open")
        if self._leasing.live > 1:
            told.append(f"one of {self._leasing.live} replicas")
        return ", ".join(told)

    def _learns(self, name: str) -> bool:
        monitor = self._monitors.get(name)
        return monitor is not None and monitor.in_use is None

    def _age(self) -> float | None:
        return None if self._beat_at is None else time.monotonic() - self._beat_at

    def _busy(self) -> str:
        """Why runs may have to wait; empty if they need not."""
        if short := self._scheduler.short_seconds():
            return f"the machine has had no thread for runs for {short:.0f} s"
        quick, slow, waiting = self._scheduler.slots.busy()
        if not slow and (quick < SCORING_AT_ONCE or not waiting):
            return ""
        return f"{_counted(quick + slow, 'scoring run')} in hand, {slow} slow, {waiting} waiting"


def _counted(count: int, what: str) -> str:
    """A number of things, in words.

    >>> _counted(1, "monitor"), _counted(0, "monitor")
    ('1 monitor', '0 monitors')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"
