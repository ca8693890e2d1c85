"""The records of an inbox as a source: records of a stream are read again from the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import pandas as pd

from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.source import Fetched
from aemon.store.inbox.kept_records import find_arrival, history_count, history_records
from aemon.store.store import Row, Store

LOOKED_AT = 1_000
"""Number of newest records from which columns are found after a restart."""

_ROLES = _TIME, _KEY, _ENTITY = "event_time", "record_key", "entity"


class InboxRecords:
    """A replayable source of the records that the store keeps of a monitor's stream.

    A watermark's position is the order of arrival. If no record of a batch has a column that
    earlier records had, the batch has this column with missing cells. So a silent sensor does not
    prevent the judgement of the other columns.
    """

    roles = Roles(time=_TIME, key=_KEY, entity=_ENTITY)
    in_order_of_arrival = True

    def __init__(self, store: Store, monitor: str) -> None:
        self._store = store
        self._monitor = monitor
        self._columns: dict[str, None] | None = None  # known columns, in order; None at first

    def hides(self, _mark: Watermark | None) -> bool:
        """Return False: records are read in order of arrival, so none is hidden."""
        return False

    def recognises(self, _mark: Watermark) -> bool:
        """Return True: if the position is not an order of arrival, the record is looked up."""
        return True

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` kept records after a watermark, in order of arrival."""
        rows = history_records(
            self._store, self._monitor, after=self._arrival(after) or 0, limit=limit + 1
        )
        return self._complete(_fetched(rows[:limit], after, more=len(rows) > limit))

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` kept records up to a watermark, in order of arrival."""
        rows = history_records(
            self._store, self._monitor, until=self._arrival(until), limit=limit, newest=True
        )
        return self._complete(_fetched(rows, until, more=False))

    def count(self, limit: int) -> int:
        """Return how many records are kept, at most `limit`."""
        return min(limit, history_count(self._store, self._monitor))

    def describe(self) -> str:
        """Return the name of the source for messages."""
        return f"the kept records of {self._monitor}"

    def close(self) -> None:
        """Do nothing: the store is closed by its owner."""

    def _complete(self, fetched: Fetched) -> Fetched:
        """Return the batch with the known columns that it lacks, as missing cells."""
        if self._columns is None:
            known = history_records(self._store, self._monitor, limit=LOOKED_AT, newest=True)
            self._columns = {_own_name(name): None for row in known for name in row["record"]}
        for name in fetched.table.columns:
            if name not in _ROLES:
                self._columns.setdefault(name)
        lacking = [name for name in self._columns if name not in fetched.table.columns]
        if not lacking or not len(fetched.table):
            return fetched
        missing = pd.DataFrame(None, index=fetched.table.index, columns=lacking, dtype=object)
        return replace(fetched, table=pd.concat([fetched.table, missing], axis=1))

    def _arrival(self, watermark: Watermark | None) -> int | None:
        if watermark is None or not (watermark.position or watermark.record_key):
            return None
        return find_arrival(self._store, self._monitor, watermark)


def _fetched(rows: Sequence[Row], at: Watermark | None, *, more: bool) -> Fetched:
    """Return kept rows as a table; the watermark's position is the order of arrival."""
    flat = [
        {_own_name(name): value for name, value in row["record"].items()}
        | {name: row[name] for name in _ROLES}
        for row in rows
    ]
    table = pd.DataFrame(flat) if flat else pd.DataFrame(columns=list(_ROLES))
    if rows:
        last = rows[-1]
        at = Watermark(
            event_time=last["event_time"].astimezone(UTC),
            record_key=last["record_key"],
            position=str(last["id"]),
        )
    return Fetched(table=table, watermark=at, more=more)


def _own_name(column: str) -> str:
    """Rename a column of the records that has the name of an identifying column.

    >>> _own_name("flow"), _own_name("entity")
    ('flow', 'entity_')
    """
    return f"{column}_" if column in _ROLES else column
