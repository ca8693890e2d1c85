"""Sources that cannot be read twice: the store keeps their records, and is read instead."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pandas as pd

from aemon.frame import Roles, check_frame
from aemon.records import Watermark
from aemon.sources.source import Fetched, Source
from aemon.store.kept_records import history_count, history_records, keep_history
from aemon.store.store import Row, Store

_RECORDS_AT_ONCE = 10_000  # drained from the live source in one go
_ROLES = Roles(time="event_time", key="record_key")


class HistorySource:
    """A live source whose records are first kept in the store, then read back from there.

    Args:
        live: the source that forgets.
        store: where its records are kept.
        monitor: whose history this is.
        keep: how many of the newest records to keep.
    """

    roles = _ROLES
    replayable = True
    in_order_of_arrival = True

    def __init__(self, live: Source, store: Store, monitor: str, keep: int) -> None:
        self._live = live
        self._store = store
        self._monitor = monitor
        self._keep = keep
        self._taken: Watermark | None = None

    def drain(self) -> int:
        """Move all that the live source has into the store; how many records came."""
        came, more = 0, True
        while more:
            count, more = self._drain_some()
            came += count
        return came

    def _drain_some(self) -> tuple[int, bool]:
        fetched = self._live.fetch(self._taken, _RECORDS_AT_ONCE)
        frame = check_frame(fetched.table, self._live.roles)
        records = json.loads(frame.values.to_json(orient="records", double_precision=15))
        rows: list[Row] = [
            {"record_key": key, "event_time": time, "record": record}
            for key, time, record in zip(
                frame.keys.tolist(), frame.times.tolist(), records, strict=True
            )
        ]
        keep_history(self._store, self._monitor, rows, self._keep)
        self._taken = fetched.watermark
        return len(rows), fetched.more

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Kept records after a watermark, in order of arrival."""
        rows = history_records(
            self._store, self._monitor, after=_arrival(after) or 0, limit=limit + 1
        )
        return _fetched(rows[:limit], after, more=len(rows) > limit)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest kept records up to a watermark, in order of arrival."""
        rows = history_records(
            self._store, self._monitor, until=_arrival(until), limit=limit, newest=True
        )
        return _fetched(rows, until, more=False)

    def count(self, limit: int) -> int:
        """How many records are kept, counted no further than `limit`."""
        return min(limit, history_count(self._store, self._monitor))

    def describe(self) -> str:
        """The live source in a few words."""
        return self._live.describe()

    def close(self) -> None:
        """Let go of the live source."""
        self._live.close()


class KeptRecords(HistorySource):
    """The history alone, for a training worker: nothing live is read."""

    def __init__(self, store: Store, monitor: str) -> None:
        self._store = store
        self._monitor = monitor

    def describe(self) -> str:
        """The history in a few words."""
        return f"the kept records of {self._monitor}"

    def close(self) -> None:
        """Nothing to let go of."""


def _arrival(watermark: Watermark | None) -> int | None:
    return int(watermark.position) if watermark and watermark.position else None


def _fetched(rows: Sequence[Row], at: Watermark | None, *, more: bool) -> Fetched:
    """Kept rows as a table; the watermark's position is the order of arrival."""
    flat: list[dict[str, Any]] = [
        {**row["record"], "event_time": row["event_time"], "record_key": row["record_key"]}
        for row in rows
    ]
    table = pd.DataFrame(flat) if flat else pd.DataFrame(columns=["event_time", "record_key"])
    if rows:
        last = rows[-1]
        at = Watermark(
            event_time=last["event_time"].astimezone(UTC),
            record_key=last["record_key"],
            position=str(last["id"]),
        )
    return Fetched(table=table, watermark=at, more=more)
