"""The daemon's side of the leases: it says that it lives, and is told what to watch."""

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

LOOK_EVERY_SECONDS = 1.0  # among several, how often it is looked for what others gave back
MOST_NAMED = 20  # monitors in one line of the log

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is to know which monitors are held.

    Attributes:
        on_won: hears, at every beat, a monitor that is held and its fence: it is watched here.
        on_lost: hears a monitor that is to be watched here no more.
        running: whether a run of a monitor is in hand; it is given back after that.
    """

    on_won: Callable[[str, Fence], None]
    on_lost: Callable[[str], None]
    running: Callable[[str], bool]


class Leasing:
    """Holds this daemon's share of the monitors, in a thread of its own.

    Args:
        store: one of its own, so that beats wait for no scoring run's connection.
        me: this daemon.
        lease: who says nothing for so long loses its monitors.
        metrics: where it is told what is held.
        watch: who is to know which monitors are held.
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
        self._naming = threading.Lock()  # a beat tells of no monitor that was dropped meanwhile
        self._held: dict[str, Fence] = {}
        self._leaving: set[str] = set()  # held, watched no more, and not yet given back
        self._live = 1
        self._begun = self._fails = False
        self._next_beat = 0.0  # monotonic
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> Collection[str]:
        """The monitors that are watched here."""
        return self._held.keys() - self._leaving

    def fence_of(self, name: str) -> Fence | None:
        """What a monitor that is to be watched here is watched under; None if it is not."""
        return None if name in self._leaving else self._held.get(name)

    @property
    def live(self) -> int:
        """Replicas that live, as of the last beat."""
        return self._live

    def start(self, names: Iterable[str]) -> None:
        """Take what can be taken here and now, then go on in a thread.

        Raises:
            ResourceError: the machine has no thread to give.
        """
        self.watch(names)
        self._beat()
        self._thread = start_thread(self._work, "leases")

    @property
    def threads(self) -> list[threading.Thread]:
        """Return the thread without which the leases are lost."""
        return [self._thread] if self._thread is not None else []

    def watch(self, names: Iterable[str]) -> None:
        """Hold a share of these from now on; they have their rows in `monitors`."""
        with self._naming:
            dropped = set(self._names) - set(names := tuple(names)) - self._held.keys()
            self._names = names
            for name in dropped:
                self._metrics.forget_monitor(name)
        self._wake.set()

    def stop(self, wait_seconds: float) -> None:
        """Give all back, so that others take them at once; a store that hangs is not waited for."""
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
            except Exception as error:  # noqa: BLE001 -- without beats, all monitors are lost
                self._failed(error)
        try:
            tokens = self._tokens()
            give_back(self._store, self._me, tokens, leave=True)
            self._tell(Action.LEASE_RETURNED, tokens)
        except AemonError as error:
            self._failed(error)
        self._store.close()

    def _pause_seconds(self) -> float:
        left = max(0.0, self._next_beat - time.monotonic())
        return min(left, LOOK_EVERY_SECONDS) if self._leaving or self._live > 1 else left

    def _others_left_some(self) -> bool:
        return self._live > 1 and not self._fails and some_free(self._store, self._names)

    def _beat(self) -> None:
        """Say that this daemon lives; win and lose what that shows."""
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
            self._failed(error)  # what is held is kept: whether it is lost, only the store knows
            return
        self._begun, self._fails = True, False
        lost = [name for name, fence in self._held.items() if now.tokens.get(name) != fence.token]
        for name in lost:
            del self._held[name]
            self._unwatch(name)
            self._leaving.discard(name)
            self._metrics.leases_lost.inc()
        self._tell(Action.LEASE_LOST, lost)
        won = [name for name in now.tokens if name not in self._held]
        for name in won:
            self._held[name] = Fence(
                monitor=name, holder=self._me.name, token=now.tokens[name], lease=self._lease
            )
        self._tell(Action.LEASE_TAKEN, won)
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
        """Watch what is held here. What could not be begun is tried again at the next beat."""
        for name in self.held:
            try:
                self._on_won(name, self._held[name])
            except Exception as error:  # noqa: BLE001 -- the other monitors are to be watched
                what = f"{name} is held and cannot be watched yet: {_words(error)}"
                log(logger, logging.ERROR, Action.LEASE_FAILED, what)

    def _show_episodes(self) -> None:
        """Show what is open: people take episodes up between runs, which may be hours apart."""
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
        """Give back what is watched no more and has no run in hand."""
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
        self._tell(Action.LEASE_RETURNED, idle)

    def _failed(self, error: Exception) -> None:
        """Say once that the store does not answer."""
        if not self._fails:
            log(logger, logging.WARNING, Action.LEASE_FAILED, _words(error))
        self._fails = True

    def _tell(self, action: Action, names: Collection[str]) -> None:
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
    """`host:process:place`; no other daemon that lives is called so.

    The place is the host since it was booted, and within it the processes that see each other.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_place()}"


def is_gone(name: str) -> bool:
    """Whether a daemon of that name surely lives no more.

    That can be told of one that was named by `own_name` in this very place; of no other.
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
    """Eight letters that two processes share if they see each other's numbers; empty if unknown."""
    try:
        place = f"{_BOOT.read_text()} {_PROCESSES.readlink()}"
    except OSError:  # not Linux: nobody is known to be gone
        return ""
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def beat_every(lease: timedelta) -> timedelta:
    """How often a daemon says that it lives: two lost beats lose no lease."""
    return lease / 3
