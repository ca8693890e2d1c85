"""The largest exceedances of the last day, kept between requests, for the sparklines."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock

from aemon.store.page_queries.exceedances import exceedances
from aemon.store.page_queries.time_pieces import Pieces
from aemon.store.store import Store

WIDTH = timedelta(minutes=30)
PIECES = 48
NEWEST = 2  # pieces that every request reads again, because records still arrive in them
BUDGET_SECONDS = 0.03  # time a request spends on earlier pieces; the rest is read by later requests
AGAIN_AFTER = timedelta(minutes=10)  # earlier pieces are read again, for late records

Traces = Mapping[str, Sequence[float | None]]
"""Monitor -> the largest exceedance of each piece of the last day; None without records."""


class RecentExceedances:
    """The largest exceedance of each monitor in each half hour of the last day.

    Every request reads the newest two pieces. Earlier pieces are read once, and again after ten
    minutes; a request spends only a short time on them. So the sparklines of a large installation
    are complete after a few requests, and no request has to wait for all scores of a day.
    """

    def __init__(self, budget_seconds: float = BUDGET_SECONDS) -> None:
        self._budget_seconds = budget_seconds
        self._lock = Lock()
        self._values: dict[datetime, dict[str, float | None]] = {}  # begin of a piece -> values
        self._read_at: dict[datetime, datetime] = {}
        self._names: frozenset[str] = frozenset()

    def traces(self, store: Store, names: Sequence[str], now: datetime) -> Traces:
        """Return the traces of these monitors; pieces that were not read yet are None.

        Raises:
            StoreError: the database fails.
        """
        pieces = Pieces.up_to(now, WIDTH, PIECES)
        begins = [pieces.begin(number) for number in range(PIECES)]
        with self._lock:
            if not self._names.issuperset(names):
                self._values, self._read_at = {}, {}
            self._names |= frozenset(names)
            for begin in self._read_at.keys() - set(begins):
                del self._values[begin], self._read_at[begin]
            self._read(store, begins[-NEWEST:], now)
            self._read_earlier(store, begins[:-NEWEST], now)
            kept = [self._values.get(begin, {}) for begin in begins]
        return {name: [values.get(name) for values in kept] for name in names}

    def _read_earlier(self, store: Store, begins: Sequence[datetime], now: datetime) -> None:
        """Read missing and old pieces, newest first, as long as the time allows."""
        until = time.monotonic() + self._budget_seconds
        at_once = 1
        waiting = [
            begin
            for begin in reversed(begins)
            if begin not in self._read_at or now - self._read_at[begin] > AGAIN_AFTER
        ]
        waiting.sort(key=lambda begin: begin in self._read_at)  # missing ones first
        while waiting and time.monotonic() < until:
            some = _neighbours(waiting[:at_once])
            self._read(store, some, now)
            waiting = waiting[len(some) :]
            at_once *= 2

    def _read(self, store: Store, begins: Sequence[datetime], now: datetime) -> None:
        names = sorted(self._names)
        pieces = Pieces(since=min(begins), width=WIDTH, count=len(begins))
        found: list[dict[str, float | None]] = [{} for _ in begins]
        for name, piece, exceedance in exceedances(store, names, pieces):
            found[piece][name] = exceedance
        for number, values in enumerate(found):
            self._values[pieces.begin(number)] = values
            self._read_at[pieces.begin(number)] = now


def _neighbours(begins: Sequence[datetime]) -> list[datetime]:
    """Return the first of these pieces, newest first, up to the first gap."""
    kept = list(begins[:1])
    for begin in begins[1:]:
        if kept[-1] - begin != WIDTH:
            break
        kept.append(begin)
    return kept
