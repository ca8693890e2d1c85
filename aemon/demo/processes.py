"""The processes of a demo: each is started in its own session, watched, and stopped."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from aemon.errors import RetriableError

STOP_SECONDS = 12  # a daemon ends within ten seconds
_START_SECONDS = 60.0  # enough for a start on a busy machine
_LOOK_EVERY_SECONDS = 0.05


class DemoFailedError(RetriableError):
    """A process of the demo ended by itself."""


class Processes:
    """The running processes of a demo; closing the stack stops all processes that still run.

    Args:
        stack: a stack that is closed at the end of the demo; the process started first ends last.
        folder: folder for the output of the processes; each process has a file `NAME.log`.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._running: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}

    def start_python(self, name: str, arguments: Sequence[str]) -> None:
        """Start the Python interpreter with arguments; the output goes to `NAME.log`."""
        self.start(name, (sys.executable, *arguments), self._folder / f"{name}.log")

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start a command in its own session.

        Ctrl-C then reaches only the demo, which stops its processes in order.
        """
        output = self._stack.enter_context(log.open("w+", encoding="utf-8", errors="replace"))
        process = subprocess.Popen(  # noqa: S603 -- our own modules, and servers found on PATH
            command, stdout=output, stderr=output, text=True, start_new_session=True
        )
        self._running[name] = (process, output)
        self._stack.callback(_stop, process)

    def wait_until(self, done: Callable[[], bool], what: str) -> None:
        """Wait for a condition while all processes run.

        Raises:
            DemoFailedError: a process ended by itself, or the wait is too long; `what` names the
                condition for the message.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailedError(
                    f"waited {_START_SECONDS:.0f} s for {what}",
                    todo="run the demo again with --folder, which keeps the log files",
                )
            time.sleep(_LOOK_EVERY_SECONDS)

    def check(self) -> None:
        """Check that no process has failed.

        Raises:
            DemoFailedError: a process ended by itself; the message has its last output.
        """
        for name, (process, output) in self._running.items():
            if process.poll() not in (None, 0):
                raise DemoFailedError(
                    f"the demo's {name} ended by itself: {_last_lines(output)}",
                    todo="run the demo again with --folder, which keeps the log files",
                )

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait until it ends; do nothing if it was not started."""
        if name in self._running:
            process, _ = self._running[name]
            process.terminate()
            process.wait(STOP_SECONDS)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process if it still runs: ask it to end, and kill it if it does not end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_lines(output: IO[str]) -> str:
    output.seek(0)
    lines = output.read().strip().splitlines()
    return " ".join(line.strip() for line in lines[-2:]) or "it wrote no output"
