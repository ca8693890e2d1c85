"""The protocol of training workers; `local_workers` has those of this host."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Workers(Protocol):
    """Workers that run tasks outside of the daemon's process, and can end each task.

    A future fails with the `AemonError` that its task raised, or with `WorkerError`. The reasons
    for `WorkerError`: the worker died, was killed, took too much memory, or met an unexpected error.
    """

    @property
    def capacity(self) -> int:
        """How many tasks run at once; the scheduler starts no more trainings than this."""

    def submit(
        self, fn: Callable[[*Arguments], T], /, *args: *Arguments, memory: int | None = None
    ) -> Future[T]:
        """Start `fn` in a worker.

        Args:
            fn: a function that can be imported, because the worker may be another process.
            args: the arguments of `fn`, which are copied to the worker.
            memory: in bytes; a worker that takes more is killed. None for no limit.

        Raises:
            RuntimeError: the workers are shut down.
        """

    def kill(self, future: Future[Any]) -> None:
        """End a task's worker at once; the future fails with `WorkerError`."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `cancel_futures`, end the running tasks."""
