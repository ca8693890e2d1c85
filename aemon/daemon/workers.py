"""The protocol of training workers; `local_workers` has the workers on this host."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Workers(Protocol):
    """Workers that run tasks outside of the daemon's process, and can kill each task.

    A future fails with the `AemonError` that its task raised, or with `WorkerError`. `WorkerError`
    means that the worker died, was killed, took too much memory, or raised an unexpected error.
    """

    @property
    def capacity(self) -> int:
        """Number of tasks that may run at the same time; further trainings wait."""

    def submit(
        self, fn: Callable[[*Arguments], T], /, *args: *Arguments, memory: int | None = None
    ) -> Future[T]:
        """Run `fn` in a worker.

        Args:
            fn: a function that can be imported, because the worker may be another process.
            args: arguments of `fn`, which are copied to the worker.
            memory: largest memory of the worker in bytes; a worker that takes more is killed. None
                for no limit.

        Returns:
            The future of the result.

        Raises:
            RuntimeError: the workers are shut down.
        """

    def kill(self, future: Future[Any]) -> None:
        """Kill the worker of a task at once; the future fails with `WorkerError`."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse further tasks; with `cancel_futures`, kill the running tasks."""
