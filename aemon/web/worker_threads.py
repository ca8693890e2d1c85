"""Blocking work in a thread, while the event loop continues."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from aemon.errors import ResourceError

T = TypeVar("T")


async def in_thread(work: Callable[[], T], threads: anyio.CapacityLimiter | None = None) -> T:
    """Run `work` in a thread and return its result; a cancelled caller does not wait for it.

    Args:
        work: the function to run.
        threads: the threads that may work at one time; None for those of all other work.

    Raises:
        ResourceError: the machine cannot start another thread.
    """
    began = False

    def begin() -> T:
        nonlocal began
        began = True
        return work()

    try:
        return await anyio.to_thread.run_sync(begin, abandon_on_cancel=True, limiter=threads)
    except RuntimeError as error:
        if began:
            raise
        raise ResourceError(f"no thread to answer the request: {error}") from None
