"""Starting threads; if the machine has no thread, the error is one that may be retried."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aemon.errors import ResourceError


def start_thread(work: Callable[..., Any], name: str, *args: Any) -> threading.Thread:
    """Start and return a daemon thread, which ends with the process at the latest.

    Raises:
        ResourceError: the machine has no thread to give.
    """
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    with thread_errors(name):
        thread.start()
    return thread


@contextmanager
def thread_errors(name: str) -> Iterator[None]:
    """Turn a failure to start a thread into a `ResourceError`; the block may do nothing else.

    Raises:
        ResourceError: the machine has no thread to give.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise ResourceError(
            f"no thread for {name}: {error or 'out of memory'}",
            todo="raise the limit of processes and threads (pids, ulimit -u), or free memory",
        ) from None


def first_dead(threads: Iterable[threading.Thread]) -> str:
    """Return the name of the first thread that was started and has ended; empty if none has."""
    ended = (
        thread.name for thread in threads if thread.ident is not None and not thread.is_alive()
    )
    return next(ended, "")
