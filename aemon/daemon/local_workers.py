"""Training workers on this host: one process for each task.

A process is forked from a clean server process, and returns all its memory when it ends. The
server process does not preload torch: torch would always take 200 MB there, and save only one
second of each training.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, TypeVar, TypeVarTuple

import psutil

from aemon.errors import AemonError, ResourceError, WorkerError
from aemon.threads import start_thread

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

LOOK_SECONDS = 0.2  # between two checks of a worker's memory
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class LocalWorkers:
    """Workers that run each task in a separate process, which can be killed at any moment.

    Args:
        capacity: number of tasks that may run at the same time on this host.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([])  # no modules of the daemon, not even __main__
        self._processes: dict[Future[Any], ForkServerProcess] = {}
        self._too_large: dict[Future[Any], str] = {}  # messages about tasks killed for their memory
        self._lock = threading.Lock()
        self._closed = False

    @property
    def capacity(self) -> int:
        """Number of tasks that may run at the same time on this host."""
        return self._capacity

    def submit(
        self, fn: Callable[[*Arguments], T], /, *args: *Arguments, memory: int | None = None
    ) -> Future[T]:
        """Run `fn` in a new process; kill the process if it takes more than `memory` bytes.

        The future fails with `WorkerError` if the process dies without an answer.

        Raises:
            RuntimeError: the workers are shut down.
            ResourceError: the machine cannot start a process or thread, or open a file.
        """
        if self._closed:
            raise RuntimeError("the workers are shut down")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with ExitStack() as undo:
            process, pipe = self._start(future, fn, args, undo)
            start_thread(self._await, "await-worker", future, process, pipe, memory)
            undo.pop_all()
        return future

    def _start(
        self, future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], undo: ExitStack
    ) -> tuple[ForkServerProcess, Connection]:
        """Start a process for a task; return the process and the pipe that receives the answer.

        Raises:
            ResourceError: the machine cannot start a process or open a file.
        """
        try:
            own_end, worker_end = self._context.Pipe()
            undo.callback(own_end.close)
            with worker_end:
                process = self._context.Process(
                    target=_work, args=(worker_end, fn, args), daemon=True
                )
                with self._lock:
                    process.start()
                    self._processes[future] = process
        except (OSError, EOFError, MemoryError) as error:  # EOF: the fork server has died
            raise ResourceError(
                f"a training worker cannot be started: {error or 'the fork server ended'}",
                todo="raise the limits of processes and open files (pids, ulimit -u and -n)",
            ) from None
        undo.callback(self._drop, future)
        return process, own_end

    def _drop(self, future: Future[Any]) -> None:
        """Kill the process of a task whose answer is not needed, and forget the task."""
        with self._lock:
            process = self._processes.pop(future)
        process.kill()
        process.join()

    def _await(
        self,
        future: Future[Any],
        process: ForkServerProcess,
        pipe: Connection,
        most_bytes: int | None,
    ) -> None:
        """Wait until a worker answers or dies, and set the result or the error of its future."""
        try:
            while most_bytes is not None and not pipe.poll(LOOK_SECONDS):
                taken = _resident_bytes(process.pid)
                if taken > most_bytes:
                    used, most = f"{taken / 1e6:.0f} MB", f"{most_bytes / 1e6:.0f} MB"
                    self._too_large[future] = (
                        f"the training worker took {used}, more than the allowed {most}"
                    )
                    process.kill()
                    most_bytes = None
            succeeded, answer = pipe.recv()
        except Exception:  # noqa: BLE001 -- there is no answer, or it cannot be read
            succeeded, answer = False, None
        process.join()
        with self._lock:
            self._processes.pop(future, None)
        pipe.close()
        if succeeded:
            future.set_result(answer)
        else:
            too_large = self._too_large.pop(future, None)
            todo = "raise life.train_memory, or lower max_training_records"
            died = WorkerError(*_how_it_died(process.exitcode))
            future.set_exception(
                answer or (WorkerError(too_large, todo=todo) if too_large else died)
            )

    def kill(self, future: Future[Any]) -> None:
        """Kill the process of a task at once; the task's future fails with `WorkerError`."""
        with self._lock:
            process = self._processes.get(future)
        if process is not None:
            process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse further tasks; with `cancel_futures`, kill the running tasks."""
        self._closed = True
        with self._lock:
            running = list(self._processes.values())
        for process in running:
            if cancel_futures:
                process.kill()
            if wait:
                process.join()


def _resident_bytes(pid: int | None) -> int:
    """Return the resident memory of a process in bytes; 0 if the process has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _how_it_died(exit_code: int | None) -> tuple[str]:
    if exit_code == -signal.SIGKILL:
        return ("the training worker was killed, for lack of memory, by aemon or by a person",)
    return (f"the training worker died (exit code {exit_code})",)


def _work(pipe: Connection, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Run one task in the worker's process, and send the result or the error to the daemon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which ends workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for variable in _ONE_THREAD:
        os.environ[variable] = "1"
    try:
        start_thread(_die_with_daemon, "die-with-daemon", pipe)
        answer = (True, fn(*args))
    except AemonError as error:
        answer = (False, error)
    except Exception as error:  # noqa: BLE001 -- the daemon must receive every error
        answer = (False, WorkerError(f"training failed: {type(error).__name__}: {error}"))
    pipe.send(answer)


def _die_with_daemon(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
