"""A source of the kept records of a stream, which reads them from the store at any time."""

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
"""The number of newest records that are searched for known columns after a restart."""

_ROLES = _TIME, _KEY, _ENTITY = "event_time", "record_key", "entity"


class InboxRecords:
    """A replayable source of the stored records of a monitor's stream.

    The position of a watermark is the order of arrival (the id of the record). If earlier records
    have a column that no record of a batch has, the column is added to the batch with missing
    cells. Therefore a silent sensor does not prevent the judgement of the other columns.

    Args:
        store: the store that keeps the records.
        monitor: name of the monitor.
        columns: columns that every batch has, also if no record has such a column.
    """

    roles = Roles(time=_TIME, key=_KEY, entity=_ENTITY)
    in_order_of_arrival = True

    def __init__(self, store: Store, monitor: str, columns: Sequence[str] = ()) -> None:
        self._store = store
        self._monitor = monitor
        self._named = tuple(map(_own_name, columns))
        self._columns: dict[str, None] | None = None  # known columns, in order; None at first

    def hides(self, _mark: Watermark | None) -> bool:
        """Return False: a new record always arrives after the watermark, so no record is hidden."""
        return False

    def recognises(self, _mark: Watermark) -> bool:
        """Return True: `fetch` finds the watermark's record even if the position is invalid."""
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
        """Return the number of kept records; return `limit` if there are more."""
        return min(limit, history_count(self._store, self._monitor))

    def describe(self) -> str:
        """Return the name of this source for messages."""
        return f"the kept records of {self._monitor}"

    def close(self) -> None:
        """Do nothing, because the owner of the store closes the store."""

    def _complete(self, fetched: Fetched) -> Fetched:
        """Add known columns that a batch does not have, with missing cells; return the batch."""
        if self._columns is None:
            known = history_records(self._store, self._monitor, limit=LOOKED_AT, newest=True)
            self._columns = dict.fromkeys(self._named)
            for row in known:
                self._columns |= {_own_name(name): None for name in row["record"]}
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
    """Return stored rows as a table, with the watermark after the last row.

    Without rows, the watermark is `at`. The position of a watermark is the order of arrival.
    """
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
    """Return the name of a column; append `_` if an identifying column has the same name.

    >>> _own_name("flow"), _own_name("entity")
    ('flow', 'entity_')
    """
    return f"{column}_" if column in _ROLES else column
