"""The leases of a daemon: its heartbeat, and the monitors that the daemon may watch."""

import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from aemon.errors import AemonError, StoreError
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics
from aemon.store.episodes import counts_open
from aemon.store.fences import Fence
from aemon.store.leases import Knowledge, Replica, give_back, hold, some_free
from aemon.store.store import Store
from aemon.threads import start_thread

LOOK_EVERY_SECONDS = 1.0  # between two checks for returned leases, if there are several replicas
MOST_NAMED = 20  # monitors named in one line of the log

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The callbacks that begin and end the watching of monitors.

    Attributes:
        on_won: called at every heartbeat, for each monitor held here, with its name and its fence.
        on_lost: called with the name of a monitor that must not be watched here any longer.
        running: returns whether a run of the named monitor is running; the monitor's lease is
            given back only after the run.
    """

    on_won: Callable[[str, Fence], None]
    on_lost: Callable[[str], None]
    running: Callable[[str], bool]


class Leasing:
    """The leases of this daemon's share of the monitors, renewed by a separate thread.

    Args:
        store: a separate store, so that heartbeats do not wait for the connection of a scoring run.
        me: this daemon.
        lease: a replica that writes no heartbeat for this time loses its leases.
        metrics: the metrics that show which monitors are held.
        watch: the callbacks that begin and end the watching of monitors.
    """

    def __init__(
        self, store: Store, me: Replica, lease: timedelta, metrics: Metrics, watch: Watch
    ) -> None:
        self._store = store
        self._me = me
        self._lease = lease
        self._metrics = metrics
        self._on_won = watch.on_won
        self._on_lost = watch.on_lost
        self._running = watch.running
        self._names: tuple[str, ...] = ()
        self._naming = threading.Lock()  # so that no heartbeat shows metrics of a removed monitor
        self._held: dict[str, Fence] = {}
        self._leaving: set[str] = set()  # held and not yet given back, but no longer watched
        self._live = 1
        self._begun = self._fails = False
        self._next_beat = 0.0  # monotonic
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> Collection[str]:
        """Names of the monitors that are watched here."""
        return self._held.keys() - self._leaving

    def fence_of(self, name: str) -> Fence | None:
        """Return the fence of a monitor that this daemon watches; None for other monitors."""
        return None if name in self._leaving else self._held.get(name)

    @property
    def live(self) -> int:
        """Number of live replicas at the last heartbeat, including this replica."""
        return self._live

    def start(self, names: Iterable[str]) -> None:
        """Take the leases of monitors that are free now, then renew the leases in a thread.

        Raises:
            ResourceError: the machine cannot start a thread.
        """
        self.watch(names)
        self._beat()
        self._thread = start_thread(self._work, "leases")

    @property
    def threads(self) -> list[threading.Thread]:
        """The thread that renews the leases; empty before the start."""
        return [self._thread] if self._thread is not None else []

    def watch(self, names: Iterable[str]) -> None:
        """Set the monitors of which this daemon holds a share.

        Args:
            names: names of all configured monitors; the table `monitors` has a row for each name.
        """
        with self._naming:
            dropped = set(self._names) - set(names := tuple(names)) - self._held.keys()
            self._names = names
            for name in dropped:
                self._metrics.forget_monitor(name)
        self._wake.set()

    def stop(self, wait_seconds: float) -> None:
        """Give back all leases, so that other replicas take the leases at once.

        Args:
            wait_seconds: longest time to wait, because the store may hang.
        """
        self._over.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait_seconds)

    def _work(self) -> None:
        while not self._over.is_set():
            woken = self._wake.wait(self._pause_seconds())
            self._wake.clear()
            if self._over.is_set():
                break
            try:
                self._give_back_idle()
                if woken or time.monotonic() >= self._next_beat or self._others_left_some():
                    self._beat()
            except Exception as error:  # noqa: BLE001 -- without heartbeats, all monitors are lost
                self._failed(error)
        try:
            tokens = self._tokens()
            give_back(self._store, self._me, tokens, leave=True)
            self._log(Action.LEASE_RETURNED, tokens)
        except AemonError as error:
            self._failed(error)
        self._store.close()

    def _pause_seconds(self) -> float:
        left = max(0.0, self._next_beat - time.monotonic())
        return min(left, LOOK_EVERY_SECONDS) if self._leaving or self._live > 1 else left

    def _others_left_some(self) -> bool:
        return self._live > 1 and not self._fails and some_free(self._store, self._names)

    def _beat(self) -> None:
        """Write a heartbeat; begin to watch monitors of won leases, end monitors of lost leases."""
        self._next_beat = time.monotonic() + beat_every(self._lease).total_seconds()
        names = self._names
        try:
            own = Knowledge(
                known=self._tokens() if self._begun else None,
                gone=is_gone,
                busy={name for name in self._held if self._running(name)},
            )
            now = hold(self._store, self._me, names, self._lease, own)
        except StoreError as error:
            self._failed(error)  # keep all leases: only the store knows which are lost
            return
        self._begun, self._fails = True, False
        lost = [name for name, fence in self._held.items() if now.tokens.get(name) != fence.token]
        for name in lost:
            del self._held[name]
            self._unwatch(name)
            self._leaving.discard(name)
            self._metrics.leases_lost.inc()
        self._log(Action.LEASE_LOST, lost)
        won = [name for name in now.tokens if name not in self._held]
        for name in won:
            self._held[name] = Fence(
                monitor=name, holder=self._me.name, token=now.tokens[name], lease=self._lease
            )
        self._log(Action.LEASE_TAKEN, won)
        for name in now.excess:
            self._unwatch(name)
        self._begin_held()
        self._give_back_idle()
        self._live = now.live
        self._metrics.replicas_live.set(now.live)
        with self._naming:
            for name in self._names:
                self._metrics.lease_held.labels(name).set(name in self.held)
        self._show_episodes()

    def _begin_held(self) -> None:
        """Begin to watch all held monitors; after an error, the next heartbeat tries again."""
        for name in self.held:
            try:
                self._on_won(name, self._held[name])
            except Exception as error:  # noqa: BLE001 -- the other monitors must be watched
                what = f"the lease of {name} is held, but {name} is not watched: {_words(error)}"
                log(logger, logging.ERROR, Action.LEASE_FAILED, what)

    def _show_episodes(self) -> None:
        """Update the metrics of open episodes at every heartbeat.

        Runs alone are not enough: people acknowledge episodes between runs, and the time between
        two runs may be hours.
        """
        try:
            with self._store.reading() as connection:
                counts = counts_open(connection, [*self.held], self._store.now())
        except StoreError as error:
            self._failed(error)
            return
        for name, episodes in counts.items():
            self._metrics.show_open(name, episodes)

    def _tokens(self) -> dict[str, int]:
        return {name: fence.token for name, fence in self._held.items()}

    def _unwatch(self, name: str) -> None:
        if name not in self._leaving:
            self._leaving.add(name)
            self._on_lost(name)

    def _give_back_idle(self) -> None:
        """Give back the leases of monitors that are no longer watched and have no running run."""
        idle = {name: self._held[name].token for name in self._leaving if not self._running(name)}
        if not idle:
            return
        try:
            give_back(self._store, self._me, idle)
        except StoreError as error:
            self._failed(error)
            return
        for name in idle:
            del self._held[name]
            self._leaving.discard(name)
        self._log(Action.LEASE_RETURNED, idle)

    def _failed(self, error: Exception) -> None:
        """Log an error; further errors are not logged until a heartbeat succeeds."""
        if not self._fails:
            log(logger, logging.WARNING, Action.LEASE_FAILED, _words(error))
        self._fails = True

    def _log(self, action: Action, names: Collection[str]) -> None:
        if names:
            some = ", ".join(sorted(names)[:MOST_NAMED])
            more = ", ..." if len(names) > MOST_NAMED else ""
            level = logging.WARNING if action is Action.LEASE_LOST else logging.INFO
            log(logger, level, action, some + more, monitors=len(names), replica=self._me.name)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, AemonError) else repr(error)


_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")


def own_name() -> str:
    """Return `host:process:place`, the default name of a daemon, unique among live daemons.

    The place identifies the boot of the host and the PID namespace. Processes with the same place
    see each other's process numbers.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_place()}"


def is_gone(name: str) -> bool:
    """Return whether the daemon with this name has certainly ended.

    The answer is False for a name that `own_name` did not make, or made in a different place.
    """
    *_, pid, place = name.rsplit(":", 2) if name.count(":") > 1 else ("", "", "")
    if not pid.isdigit() or not place or place != _place():
        return False
    if int(pid) == os.getpid():
        return name != own_name()
    try:
        return psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _place() -> str:
    """Return the place of this process, eight hexadecimal digits; empty if unknown.

    Processes have the same place if they see each other's process numbers.
    """
    try:
        place = f"{_BOOT.read_text()} {_PROCESSES.readlink()}"
    except OSError:  # not Linux: no daemon is known to have ended
        return ""
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def beat_every(lease: timedelta) -> timedelta:
    """Return the time between two heartbeats; a replica may miss two heartbeats."""
    return lease / 3
