"""Slots: an executor that limits the number of running tasks and is not blocked by slow tasks."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from aemon.errors import ResourceError
from aemon.logs import Action, log
from aemon.threads import start_thread

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""Duration after which a task is slow: the task continues, but another task may use its slot."""

THREADS_TRIED_SECONDS = 1.0  # between two tries while the machine cannot start a thread
MOST_SLOW = 50  # slow tasks at a time; further slow tasks keep their slots


@dataclass(eq=False)
class _Task:
    future: Future[Any]
    work: Callable[[], Any]
    began: float | None = field(default=None)  # monotonic
    slow: bool = False
    admitted: bool = False  # the future is marked as running; the task may wait for a thread


class Slots(Executor):
    """An executor with a thread for each task, with at most `slots` quick tasks at a time.

    A task that becomes slow continues, but is no longer counted. With a thread pool, ten hanging
    sources would make a thousand other sources wait until the timeouts. A thread pool of the
    standard library also loses a task if no thread can be started. Here, the task waits until a
    thread can be started.

    Raises at construction:
        ResourceError: the machine cannot start a thread.

    Args:
        slots: largest number of quick tasks at a time.
        name: name of the threads.
        patience_seconds: duration after which a task is slow; infinite if each task keeps its slot
            until its end.
    """

    def __init__(self, slots: int, name: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._slots = slots
        self._name = name
        self._patience = patience_seconds
        self._waiting: deque[_Task] = deque()
        self._running: set[_Task] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._short_since: float | None = None  # monotonic: since when no thread can be started
        self.thread = start_thread(self._dispatch, f"{name}-slots")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` as soon as a slot is free.

        Raises:
            RuntimeError: the executor is shut down.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the executor is shut down")
            self._waiting.append(_Task(future, lambda: fn(*args, **kwargs)))
            self._changed.notify()
        return future

    def busy(self) -> tuple[int, int, int]:
        """Return three numbers of tasks: tasks with a slot, slow tasks, and waiting tasks."""
        with self._changed:
            slow = sum(task.slow for task in self._running)
            return len(self._running) - slow, slow, len(self._waiting)

    def short_seconds(self) -> float:
        """Return for how many seconds no thread could be started; 0 if threads can be started."""
        since = self._short_since
        return 0.0 if since is None else time.monotonic() - since

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse further tasks; with `cancel_futures`, drop the waiting tasks.

        With `wait`, wait until no task is running or waiting.
        """
        with self._changed:
            self._closed = True
            if cancel_futures:
                for task in self._waiting:
                    task.future.cancel()
                self._waiting.clear()
            self._changed.notify()
            while wait and (self._running or self._waiting):
                self._changed.wait()

    def _dispatch(self) -> None:
        with self._changed:
            while not (self._closed and not self._waiting):
                try:
                    pause = self._give_slots()
                except Exception as error:  # noqa: BLE001 -- without this thread, nothing runs
                    pause = self._wait_for_threads(error)
                self._changed.wait(pause)

    def _give_slots(self) -> float | None:
        """Start the waiting tasks for which slots are free.

        Returns:
            Seconds until the next running task becomes slow and frees its slot; None if no task
            waits, or no running task will become slow.
        """
        now = time.monotonic()
        slow = sum(task.slow for task in self._running)
        for task in self._running:
            late = task.began is not None and now - task.began >= self._patience
            if late and not task.slow and slow < MOST_SLOW:
                task.slow = True
                slow += 1
        while self._waiting and len(self._running) - slow < self._slots:
            task = self._waiting[0]
            if not task.admitted and not task.future.set_running_or_notify_cancel():
                self._waiting.popleft()
                continue
            task.admitted = True
            try:
                start_thread(self._run, self._name, task)
            except ResourceError as error:
                return self._wait_for_threads(error)
            self._waiting.popleft()
            task.began = now
            self._running.add(task)
            self._short_since = None
        if not self._waiting or math.isinf(self._patience):
            return None
        quick = [task.began for task in self._running if not task.slow and task.began is not None]
        return (
            max(0.0, min(quick) + self._patience - now) + 0.01
            if quick and slow < MOST_SLOW
            else None
        )

    def _wait_for_threads(self, error: Exception) -> float:
        """Log once that no thread can be started; return the seconds until the next try."""
        if self._short_since is None:
            what = (
                f"{len(self._waiting)} {self._name} runs wait, and are tried every second: {error}"
            )
            log(_logger, logging.ERROR, Action.SCHEDULER_FAILED, what)
            self._short_since = time.monotonic()
        return THREADS_TRIED_SECONDS

    def _run(self, task: _Task) -> None:
        try:
            answer = task.work()
        except BaseException as error:  # noqa: BLE001 -- as in every executor: the future raises
            task.future.set_exception(error)
        else:
            task.future.set_result(answer)
        finally:
            with self._changed:
                self._running.discard(task)
                self._changed.notify_all()
