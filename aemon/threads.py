"""Starting threads. A machine that has no thread to give is an error of ours, to be tried again."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aemon.errors import ResourceError


def start_thread(work: Callable[..., Any], name: str, *args: Any) -> threading.Thread:
    """Start a thread that ends with the process at the latest.

    Raises:
        ResourceError: the machine has no thread to give.
    """
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    with thread_errors(name):
        thread.start()
    return thread


@contextmanager
def thread_errors(name: str) -> Iterator[None]:
    """Turn the failure to start a thread into an error of ours. Nothing else may happen within.

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
    """Return the name of a thread that was started and has ended; empty if there is none."""
    ended = (one.name for one in threads if one.ident is not None and not one.is_alive())
    return next(ended, "")
