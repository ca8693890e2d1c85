"""The connection to a server, in a thread with its own event loop; the thread reconnects."""

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node

from aemon.clock import Clock
from aemon.errors import AemonError, SourceError
from aemon.sources.arrivals import Arrivals, Piece
from aemon.sources.json_values import NOT_PLAIN
from aemon.sources.opcua.buckets import Bucket, Buckets, Cell
from aemon.sources.opcua.connecting import new_client, problem_of
from aemon.sources.opcua.settings import OpcUaSource
from aemon.sources.opcua.subscribing import find_nodes, subscribe
from aemon.sources.opcua.values import NotPlainError, time_of, value_of
from aemon.sources.source import SetAside
from aemon.threads import start_thread

MOST_RECORDS = 20_000  # maximum records that wait for `take`
MOST_SET_ASIDE = 1_000
MOST_OPEN = 1_000_000  # maximum values in buckets that are not closed; more values show a fault
CLOSE_SECONDS = 1.0  # time between two checks whether a bucket has ended
LONGEST_PAUSE_SECONDS = 30.0  # maximum pause between tries to connect: 1 s, 2 s, 4 s, ...
STOP_SECONDS = 15.0
NO_NODE = "no_node"

# The library's errors are reported as problems; with log handlers they would be reported twice.
_library = logging.getLogger("asyncua")
_library.propagate = False
_library.addHandler(logging.NullHandler())


class Listener:
    """A thread that listens to the nodes of a server and makes buckets of their values.

    Attributes:
        problem: the error that stops values from arriving; None if there is no error.
        is_connected: whether the connection has subscribed to the nodes.
    """

    def __init__(self, settings: OpcUaSource, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._buckets = Buckets(settings.bucket, settings.wait, settings.hold)
        self._arrivals: Arrivals[Bucket] = Arrivals(MOST_RECORDS)
        self._set_aside: deque[SetAside] = deque(maxlen=MOST_SET_ASIDE)
        self._working = threading.Lock()  # guards the buckets
        self._state = threading.Lock()  # guards the thread, which starts once
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._over = False
        self.problem: AemonError | None = None
        self.is_connected = False

    def start(self) -> None:
        """Start the thread, unless it was started or ended before.

        Raises:
            ResourceError: the machine cannot start another thread.
        """
        with self._state:
            if self._thread is None and not self._over:
                self._thread = start_thread(self._run, f"opcua:{self._settings.url}")

    def take(self, limit: int) -> tuple[Piece[Bucket], tuple[SetAside, ...]]:
        """Return at most `limit` closed buckets, and the values that were set aside."""
        if not self._over:
            self._close_buckets()
        with self._working:
            aside = tuple(self._set_aside)
            self._set_aside.clear()
        return self._arrivals.take(limit), aside

    @property
    def is_over(self) -> bool:
        """Whether the thread was asked to end."""
        return self._over

    def close(self) -> None:
        """Disconnect and end the thread; closed buckets can still be taken."""
        with self._state:
            self._over = True
            thread, loop = self._thread, self._loop
        if loop is not None and self._end is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(self._end.set)
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._stay_connected())

    async def _stay_connected(self) -> None:
        end = asyncio.Event()
        with self._state:
            self._loop, self._end = asyncio.get_running_loop(), end
            if self._over:
                return
        pause = 1.0
        while not end.is_set():
            try:
                await self._listen(end)
            except AemonError as error:
                self.problem = error
            except Exception as error:  # noqa: BLE001 -- the thread must continue
                self.problem = problem_of(error, self._settings)
            pause = 1.0 if self.is_connected else min(2 * pause, LONGEST_PAUSE_SECONDS)
            self.is_connected = False
            with self._working:
                self._buckets.disconnect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), pause / 2)

    async def _listen(self, end: asyncio.Event) -> None:
        """Listen until `end` is set, or until the connection is lost.

        Raises:
            SourceError: the connection is lost.
            SourceConfigError: the server has none of the nodes, or a certificate cannot be read.
        """
        client = await new_client(self._settings)
        lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

        async def on_lost(error: Exception) -> None:
            if not lost.done():
                lost.set_result(error)

        client.connection_lost_callback = on_lost
        await client.connect()
        try:
            await self._subscribe(client, lost)
            ending = asyncio.ensure_future(end.wait())
            while not end.is_set() and not lost.done():
                either: set[asyncio.Future[Any]] = {ending, lost}
                await asyncio.wait(
                    either, timeout=CLOSE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                self._close_buckets()
            ending.cancel()
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.disconnect(), STOP_SECONDS / 3)
        if lost.done() and not end.is_set():
            raise problem_of(lost.result(), self._settings)

    async def _subscribe(self, client: Client, lost: "asyncio.Future[BaseException]") -> None:
        found = await find_nodes(client, self._settings)
        values = _Values(self, found.cells, lost)
        with self._working:
            self._buckets.connect(self._clock())
        _, refused = await subscribe(client, self._settings, found, values)
        with self._working:
            self._set_aside.extend(
                SetAside(reason=NO_NODE, text=json.dumps({"node": text}))
                for text in (*found.missing, *refused)
            )
        self.problem = None
        self.is_connected = True

    def put(self, node: Node, cell: Cell, data: ua.DataValue, *, first: bool) -> None:
        """Add a value of a node to the buckets, or set the value aside if it cannot be used.

        Raises:
            SourceError: more than `MOST_OPEN` values wait for buckets.
        """
        now = self._clock()
        time = time_of(data, self._settings.time, now)
        try:
            value, reason = value_of(data), ""
        except NotPlainError:
            value, reason = None, NOT_PLAIN
        with self._working:
            # The first value of a node may be old; this value or its repetition is not late.
            late = self._buckets.put(cell, value, time, now, first=first)
            if reason or late:
                self._set_aside.append(
                    SetAside(
                        reason=reason or late,
                        text=json.dumps(
                            {
                                "node": node.nodeid.to_string(),
                                "time": time.isoformat(),
                                "value": str(value) if reason == "" else _kind_of(data),
                            }
                        ),
                    )
                )
            too_many = self._buckets.open_cells > MOST_OPEN
        if too_many:
            raise SourceError(f"{MOST_OPEN:,} values wait for buckets of {self._settings.url}")

    def _close_buckets(self) -> None:
        with self._working:
            for bucket in self._buckets.close(self._clock()):
                self._arrivals.put(bucket)


class _Values:
    """The handler that the library calls with the values of nodes."""

    def __init__(
        self,
        listener: Listener,
        cells: dict[Node, Cell],
        lost: "asyncio.Future[BaseException]",
    ) -> None:
        self._listener = listener
        self._cells = cells
        self._lost = lost
        self._known: set[Node] = set()

    def datachange_notification(self, node: Node, _value: Any, data: Any) -> None:
        """Add the value of a node; the first value of a node may be old."""
        first = node not in self._known
        self._known.add(node)
        try:
            self._listener.put(node, self._cells[node], data.monitored_item.Value, first=first)
        except Exception as error:  # noqa: BLE001 -- the library would only log the error
            self._give_up(error)

    def status_change_notification(self, status: ua.StatusChangeNotification) -> None:
        """End the connection, because the server has ended the subscription."""
        self._give_up(ConnectionError(f"the subscription has ended: {status.Status}"))

    def _give_up(self, error: BaseException) -> None:
        if not self._lost.done():
            self._lost.set_result(error)


def _kind_of(data: ua.DataValue) -> str:
    value = data.Value
    return f"{value.VariantType.name}{' array' if value.is_array else ''}" if value else ""
