"""A page that many may ask for at once, and that is rendered but once for all of them."""

import asyncio
import time
from collections.abc import Callable

import anyio.to_thread
from starlette.responses import Response

REST = 3.0  # times as long as it took, no other is rendered: a page costs a quarter of a core
PATIENCE_SECONDS = 20.0


class Page:
    """Renders in a thread of its own, one at a time.

    Whoever asks gets a page that was begun after they asked. Those who ask while one is rendered
    share the next.
    """

    def __init__(self, render: Callable[[], Response]) -> None:
        self._render = render
        self._in_hand: asyncio.Task[Response] | None = None
        self._next: asyncio.Task[Response] | None = None
        self._rest_until = 0.0

    async def get(self) -> Response:
        """The page.

        Raises:
            TimeoutError: it takes too long.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._in_hand))
        return await asyncio.wait_for(asyncio.shield(self._next), PATIENCE_SECONDS)

    async def _after(self, other: asyncio.Task[Response] | None) -> Response:
        if other is not None and not other.done():
            await asyncio.wait([other])
        await asyncio.sleep(self._rest_until - time.monotonic())
        self._in_hand, self._next = self._next, None
        began = time.monotonic()
        try:
            return await anyio.to_thread.run_sync(self._render, abandon_on_cancel=True)
        finally:
            self._rest_until = time.monotonic() + REST * (time.monotonic() - began)
