"""The health of the daemon, for systemd, health checks and the status page."""

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
    """The condition of the daemon: the state of its scheduler, and a summary of its work.

    Args:
        store: the store, which has the open episodes.
        scheduler: the scheduler of the daemon.
        leasing: the leases, which have the names of the monitors watched here.
        monitors: the monitors that the daemon watches; the mapping changes with the leases.
        dead: returns the name of an ended thread that the daemon needs; empty if no thread ended.
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
        self._beat_at: float | None = None  # monotonic: setting the clock does not change it

    def beat(self) -> None:
        """Note that the scheduler is alive now."""
        self._beat_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the heartbeat is recent, and all threads that the daemon needs are alive."""
        age = self._age()
        return age is not None and age < HEARTBEAT_LOST_SECONDS and not self._dead()

    def health(self) -> Health:
        """Return the health of the daemon; a daemon that is only busy needs no restart."""
        return Health(
            started=self._beat_at is not None,
            alive=self.alive,
            heartbeat_age_seconds=self._age(),
            busy=self._busy(),
            dead_thread=self._dead(),
        )

    def line(self) -> str:
        """Return a summary in one line, such as `12 monitors, 3 learning, 1 episode open`."""
        held = self._leasing.held
        learning = sum(self._learns(name) for name in held)
        parts = [_counted(len(held), "monitor")]
        if learning:
            parts.append(f"{learning} learning")
        try:
            with self._store.reading() as connection:
                count = episodes.total_open(connection, [*held])
        except AemonError:
            parts.append("the store does not answer")
        else:
            if count:
                parts.append(f"{_counted(count, 'episode')} open")
        if self._leasing.live > 1:
            parts.append(f"one of {self._leasing.live} replicas")
        return ", ".join(parts)

    def _learns(self, name: str) -> bool:
        monitor = self._monitors.get(name)
        return monitor is not None and monitor.in_use is None

    def _age(self) -> float | None:
        return None if self._beat_at is None else time.monotonic() - self._beat_at

    def _busy(self) -> str:
        """Return the reason why runs may have to wait; empty if no run has to wait."""
        if short := self._scheduler.short_seconds():
            return f"for {short:.0f} s, the machine could not start a thread for a run"
        quick, slow, waiting = self._scheduler.slots.busy()
        if not slow and (quick < SCORING_AT_ONCE or not waiting):
            return ""
        return f"{_counted(quick + slow, 'scoring run')} running, {slow} slow, {waiting} waiting"


def _counted(count: int, noun: str) -> str:
    """Return a number with a noun; the noun is in the plural unless the number is 1.

    >>> _counted(1, "monitor"), _counted(0, "monitor")
    ('1 monitor', '0 monitors')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
