"""Records of the machine aemon runs on."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pandas as pd

from aemon.clock import Clock
from aemon.config.source_settings import HostSource
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.host.counters import COLUMNS, Counters, read_counters, values_between
from aemon.sources.source import Fetched

_MOST_RECORDS = 20_000  # more than a day at one every five seconds; about 4 MB
_TIME, _KEY = "time", "key"
_log = logging.getLogger(__name__)


class _Record(NamedTuple):
    time: datetime
    numbers: tuple[float, ...]


class Host:
    """A record of this machine every `sample_every`, kept in memory until newer ones push it out.

    A thread takes them from the first read on. Past records are gone with the process, so that
    the source is not replayable: `count` and `newest` know only what this process has seen.
    Rates compare two readings: the first one only prepares for the second.
    """

    replayable = False
    in_order_of_arrival = True

    def __init__(
        self,
        settings: HostSource,
        *,
        clock: Clock,
        read: Callable[[], Counters] = read_counters,
    ) -> None:
        self._pause_seconds = settings.sample_every.total_seconds()
        self._clock = clock
        self._read = read
        self._records: deque[_Record] = deque(maxlen=_MOST_RECORDS)
        self._newest_time = datetime.min.replace(tzinfo=UTC)
        self._earlier: tuple[float, Counters] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def roles(self) -> Roles:
        """Which columns identify a record."""
        return Roles(time=_TIME, key=_KEY)

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """At most `limit` records after a watermark, oldest first; None reads all that is kept."""
        self._start()
        since = after.event_time if after else None
        with self._lock:
            if since is not None:
                # A clock set back must not hide new records behind the watermark.
                self._newest_time = max(self._newest_time, since)
            found = [record for record in self._records if since is None or record.time > since]
        return _fetched(found[:limit], after, more=len(found) > limit)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest `limit` records kept up to a watermark (None: up to now), oldest first."""
        self._start()
        last = until.event_time if until else None
        with self._lock:
            found = [record for record in self._records if last is None or record.time <= last]
        return _fetched(found[-limit:] if limit else [], until, more=False)

    def count(self, limit: int) -> int:
        """How many records are kept, counted no further than `limit`."""
        self._start()
        return min(len(self._records), limit)

    def describe(self) -> str:
        """What is sampled, and how often."""
        return f"this host every {self._pause_seconds:g} s"

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def take_record(self) -> None:
        """Take one record now; the first call only prepares the rates."""
        now, counters = time.monotonic(), self._read()
        with self._lock:
            earlier, self._earlier = self._earlier, (now, counters)
            if earlier is None:
                return
            values = values_between(earlier[1], counters, now - earlier[0])
            # No two records have the same time, whatever the clock does: it is their key.
            moment = max(self._clock(), self._newest_time + timedelta(microseconds=1))
            self._newest_time = moment
            self._records.append(_Record(moment, values))

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._stop.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="host-source", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                self.take_record()
            except Exception:  # noqa: BLE001 -- the thread must live on
                _log.exception("this host could not be sampled")
            if self._stop.wait(self._pause_seconds):
                return


def _fetched(records: Iterable[_Record], given: Watermark | None, *, more: bool) -> Fetched:
    taken = list(records)
    table = pd.DataFrame([record.numbers for record in taken], columns=list(COLUMNS), dtype=float)
    table.insert(
        0, _TIME, pd.to_datetime([record.time for record in taken], utc=True).as_unit("us")
    )
    keys = [record.time.isoformat(timespec="microseconds") for record in taken]
    table.insert(1, _KEY, pd.Series(keys, dtype="str"))
    watermark = Watermark(event_time=taken[-1].time, record_key=keys[-1]) if taken else given
    return Fetched(table=table, watermark=watermark, more=more)
