"""Telling systemd how the daemon is, by sd_notify(3); without a socket to tell it on, nothing."""

import os
import socket
import time
from collections.abc import Callable, Mapping

from aemon.threads import start_thread

STATUS_EVERY_SECONDS = 10.0
_MICROSECONDS = 1_000_000


class Notifier:
    """Sends datagrams to NOTIFY_SOCKET; a socket that does not take them stops nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # @: abstract
        self._feed_every = _watchdog_seconds(environment) if address else None
        self._fed_at: float | None = None  # monotonic
        self._told = ""

    def ready(self) -> None:
        """The start, or reading the configuration again, is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """One line of how it is, where it is another than before."""
        if text != self._told:
            self._told = text
            self._send(f"STATUS={text}")

    def feed_watchdog(self, alive: Callable[[], bool]) -> None:
        """Say that all is well, if that is due and so; systemd restarts what stays silent."""
        now = time.monotonic()
        due = self._fed_at is None or now - self._fed_at >= (self._feed_every or 0)
        if self._feed_every is not None and due and alive():
            self._fed_at = now
            self._send("WATCHDOG=1")

    def keep_telling(self, text: Callable[[], str]) -> None:
        """Tell the status now and then, in a thread: what is told may have to be waited for.

        Raises:
            ResourceError: the machine has no thread to give.
        """
        if not self._address:
            return

        def tell() -> None:
            while True:
                try:
                    self.status(text())
                except Exception as error:  # noqa: BLE001 -- the next status may be told
                    self.status(f"the status cannot be told: {error!r}")
                time.sleep(STATUS_EVERY_SECONDS)

        start_thread(tell, "status")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return  # the service manager went away: whoever watches will see


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """A third of the time after which systemd takes the daemon for hung; None if it does not."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    whose = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (whose and whose != str(os.getpid())):
        return None
    return int(microseconds) / _MICROSECONDS / 3
