"""Answering requests by blocking work: in a few threads, in turn, within a time limit."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio

from aemon.errors import ResourceError, SlowQueryError
from aemon.web.worker_threads import in_thread

ANSWER_SECONDS = 30.0  # time limit of an answer, also if the database does not answer at all
MOST_WAITING = 64  # requests that wait for their turn

T = TypeVar("T")


class Answering:
    """The threads that answer the requests of one part of the port.

    Args:
        at_once: requests that are answered at one time; each has a thread and a connection.
    """

    def __init__(self, at_once: int) -> None:
        self._threads = anyio.CapacityLimiter(at_once)
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of work in a thread.

        Raises:
            SlowQueryError: the work takes longer than `ANSWER_SECONDS`.
            ResourceError: too many requests wait.
        """
        if self._waiting >= MOST_WAITING:
            raise ResourceError("too many requests wait", todo="try again in a second")
        self._waiting += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await in_thread(work, self._threads)
        except TimeoutError:
            raise SlowQueryError(
                "this takes too long; the store may hang", todo="try again later, or ask for less"
            ) from None
        finally:
            self._waiting -= 1
