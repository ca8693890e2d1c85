"""A replayable source of records that a test holds in memory."""

import json

import pandas as pd

from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.source import Fetched


class ListedSource:
    """Records of a table in memory, read in the order in which they were added.

    The class passes `ReplayableContract`, and is a short example of a source.

    Args:
        table: the first records, with at least the columns of the roles.
        roles: the columns that identify a record.
    """

    in_order_of_arrival = True

    def __init__(self, table: pd.DataFrame, roles: Roles) -> None:
        self.table = table.reset_index(drop=True)
        self.roles = roles

    def add(self, records: pd.DataFrame) -> None:
        """Add records at the end."""
        self.table = pd.concat([self.table, records], ignore_index=True)

    def describe(self) -> str:
        """Return a short description of the source."""
        return f"{len(self.table)} records in memory"

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def hides(self, mark: Watermark | None) -> bool:
        """Return False: records are added at the end, so no new record is before a watermark."""
        return False

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark has the form that this source writes."""
        try:
            return isinstance(json.loads(mark.position)["read"], int)
        except (ValueError, KeyError, TypeError):
            return False

    def count(self, limit: int) -> int:
        """Return the number of records, at most `limit`."""
        return min(limit, len(self.table))

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first."""
        first = _read(after)
        return self._piece(first, min(first + limit, len(self.table)), after)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark, oldest first."""
        end = len(self.table) if until is None else _read(until)
        return self._piece(max(0, end - limit), end, until)

    def _piece(self, first: int, end: int, given: Watermark | None) -> Fetched:
        piece = self.table.iloc[first:end].reset_index(drop=True)
        mark = given
        if len(piece):
            times = self.roles.times_of(piece[self.roles.time])
            mark = Watermark(
                event_time=pd.Timestamp(times[-1], tz="UTC").to_pydatetime(),
                record_key=str(piece[self.roles.key].iloc[-1]),
                position=json.dumps({"read": end}),
            )
        return Fetched(table=piece, watermark=mark, more=end < len(self.table))


def _read(mark: Watermark | None) -> int:
    """Return the number of records that were read up to a watermark."""
    return int(json.loads(mark.position)["read"]) if mark is not None and mark.position else 0
