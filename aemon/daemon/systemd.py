"""Sends the daemon's state to systemd by sd_notify(3), if NOTIFY_SOCKET is set."""

import os
import socket
import time
from collections.abc import Callable, Mapping

from aemon.threads import start_thread

STATUS_EVERY_SECONDS = 10.0
_MICROSECONDS = 1_000_000


class Notifier:
    """A sender of messages to the socket NOTIFY_SOCKET; errors of the socket are ignored."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = (
            f"\0{address[1:]}" if address.startswith("@") else address
        )  # @ means an abstract socket
        self._feed_every = _watchdog_seconds(environment) if address else None
        self._fed_at: float | None = None  # monotonic
        self._sent = ""

    def ready(self) -> None:
        """Report that the start, or a reload of the configuration, has ended."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that a reload of the configuration begins; `ready` reports its end."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """Send a status of one line, if it has changed."""
        if text != self._sent:
            self._sent = text
            self._send(f"STATUS={text}")

    def feed_watchdog(self, alive: Callable[[], bool]) -> None:
        """Send the watchdog's message if it is due and the daemon is alive.

        Without these messages, systemd restarts the daemon.
        """
        now = time.monotonic()
        due = self._fed_at is None or now - self._fed_at >= (self._feed_every or 0)
        if self._feed_every is not None and due and alive():
            self._fed_at = now
            self._send("WATCHDOG=1")

    def keep_reporting(self, text: Callable[[], str]) -> None:
        """Send the status once every `STATUS_EVERY_SECONDS`; `text` returns the status.

        A separate thread calls `text`, because the call may be slow.

        Raises:
            ResourceError: the machine cannot start a thread.
        """
        if not self._address:
            return

        def report() -> None:
            while True:
                try:
                    self.status(text())
                except Exception as error:  # noqa: BLE001 -- the next status may work
                    self.status(f"the status is unknown: {error!r}")
                time.sleep(STATUS_EVERY_SECONDS)

        start_thread(report, "status")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return  # the service manager is gone or busy: the daemon does not depend on it


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return a third of systemd's watchdog time, in seconds; None if no watchdog is set."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / _MICROSECONDS / 3
