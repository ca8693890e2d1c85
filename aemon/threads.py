"""Functions that start threads, and raise `ResourceError` if the machine cannot start one."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aemon.errors import ResourceError


def start_thread(work: Callable[..., Any], name: str, *args: Any) -> threading.Thread:
    """Start a daemon thread, which ends with the process at the latest, and return the thread.

    Raises:
        ResourceError: the machine cannot start another thread.
    """
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    with thread_errors(name):
        thread.start()
    return thread


@contextmanager
def thread_errors(name: str) -> Iterator[None]:
    """Turn a failure to start a thread into a `ResourceError`.

    The `with` block may do nothing except start a thread.

    Raises:
        ResourceError: the machine cannot start another thread.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise ResourceError(
            f"no thread for {name}: {error or 'out of memory'}",
            todo="raise the limit of processes and threads (pids, ulimit -u), or free memory",
        ) from None


def first_dead(threads: Iterable[threading.Thread]) -> str:
    """Return the name of the first thread that was started and has ended; empty without one."""
    ended = (
        thread.name for thread in threads if thread.ident is not None and not thread.is_alive()
    )
    return next(ended, "")
