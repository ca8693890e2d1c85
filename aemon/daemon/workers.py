"""The protocol of training workers: this host's processes today, other machines some day."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Workers(Protocol):
    """WatchingParts on tasks away from the daemon's own process, and can end each of them.

    A future fails with the `AemonError` that its task raised, or with `WorkerError`, which says
    why: the worker died, was killed, took too much memory, or met an unexpected error.
    """

    @property
    def capacity(self) -> int:
        """How many tasks are worked on at once; the scheduler begins no more trainings."""

    def submit(
        self, fn: Callable[[*Arguments], T], /, *args: *Arguments, memory: int | None = None
    ) -> Future[T]:
        """Start `fn` in a worker.

        Args:
            fn: a function that can be imported, as the worker may be another process.
            args: its arguments, which are copied to the worker.
            memory: bytes; a worker that takes more is killed. None for no limit.

        Raises:
            RuntimeError: the workers are shut down.
        """

    def kill(self, future: Future[Any]) -> None:
        """End a task's worker at once; the future fails with `WorkerError`."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; end the running ones if they are to be cancelled."""
