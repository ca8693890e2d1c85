"""Limits of the machine that a running process meets, and that are lifted again."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

_CONTROLLERS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))  # cgroups 1 and 2
PATIENCE_SECONDS = 5


@contextmanager
def no_more_threads(pid: int) -> Iterator[None]:
    """Within this, a process and its children may start no thread and no process."""
    with _own_group(pid) as group:
        (group / "pids.max").write_text("1")
        try:
            yield
        finally:
            (group / "pids.max").write_text("max")


@contextmanager
def open_files(pid: int, most: int) -> Iterator[None]:
    """Within this, a process may have so many open files; those it has stay open."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def _own_group(pid: int) -> Iterator[Path]:
    """A control group of a process and its children alone."""
    for controller in _CONTROLLERS:
        group = controller / f"aemon-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "pids.max").exists():
            break
        group.rmdir()
    else:
        pytest.skip("needs control groups that limit pids and that may be written (root)")
    try:
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            _move(one.pid, group)
        yield group
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            _move(int(left), controller)
        _wait(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def _move(pid: int, group: Path) -> None:
    with suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(str(pid))


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
