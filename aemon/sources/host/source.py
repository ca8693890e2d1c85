"""Records of the machine on which aemon runs, as a stream."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.host.counters import COLUMNS, Counters, read_counters, values_between
from aemon.sources.host.settings import HostSource
from aemon.sources.sampling import Sampler
from aemon.sources.source import Arrived

_MOST_RECORDS = 20_000  # more than a day with a record every five seconds; about 4 MB
_TIME, _KEY = "time", "key"


class _Record(NamedTuple):
    time: datetime
    numbers: tuple[float, ...]

    @property
    def key(self) -> str:
        return self.time.isoformat(timespec="microseconds")


def open_host(settings: HostSource, clock: Clock) -> "Host":
    """Return the machine as a source; nothing is read before the first call."""
    return Host(settings, clock=clock)


class Host:
    """A stream of records of this machine: one record after every interval `sample_every`.

    A rate is computed from two readings, so the first reading gives no record.
    """

    roles = Roles(time=_TIME, key=_KEY)

    def __init__(
        self,
        settings: HostSource,
        *,
        clock: Clock,
        read: Callable[[], Counters] = read_counters,
    ) -> None:
        self._pause = settings.sample_every
        self._clock = clock
        self._read = read
        self._newest_time = datetime.min.replace(tzinfo=UTC)
        self._earlier: tuple[float, Counters] | None = None
        self._sampler: Sampler[_Record] = Sampler(
            "this host", self._next_record, pause=self._pause, most=_MOST_RECORDS
        )

    def resume(self, _notes: Sequence[str], _wake: Callable[[], None]) -> None:
        """Do nothing: a missed sample cannot be taken later."""

    def take(self, limit: int) -> Arrived:
        """Hand over at most `limit` records that were not handed over yet, oldest first."""
        piece = self._sampler.take(limit)
        return Arrived(table=_table(piece.items), more=piece.more, lost=piece.lost)

    def describe(self) -> str:
        """Return a short description: the host and its sampling interval."""
        return f"this host every {self._pause.total_seconds():g} s"

    def close(self) -> None:
        """End the thread that takes records."""
        self._sampler.close()

    def take_record(self) -> None:
        """Take one record now; the first call makes no record, because rates need two readings."""
        self._sampler.take_sample()

    def _next_record(self) -> _Record | None:
        now, counters = time.monotonic(), self._read()
        earlier, self._earlier = self._earlier, (now, counters)
        if earlier is None:
            return None
        values = values_between(earlier[1], counters, now - earlier[0])
        # The time is the key, so no two records have the same time, even if the clock steps back.
        moment = max(self._clock(), self._newest_time + timedelta(microseconds=1))
        self._newest_time = moment
        return _Record(moment, values)


def _table(records: Iterable[_Record]) -> pd.DataFrame:
    """Return records as a table; without records, the table has the same columns and no rows."""
    taken = list(records)
    table = pd.DataFrame([record.numbers for record in taken], columns=list(COLUMNS), dtype=float)
    times = pd.to_datetime([record.time for record in taken], utc=True).as_unit("us")
    table.insert(0, _TIME, times)
    table.insert(1, _KEY, pd.Series([record.key for record in taken], dtype="str"))
    return table
