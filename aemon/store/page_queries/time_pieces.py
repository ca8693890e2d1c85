"""Pieces of time of equal width, by which the database groups rows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """Pieces of time of equal width, one after the other.

    Attributes:
        since: begin of the first piece, aware.
        width: length of each piece.
        count: number of pieces.
    """

    since: datetime
    width: timedelta
    count: int

    @property
    def until(self) -> datetime:
        """The end of the last piece."""
        return self.since + self.count * self.width

    def begin(self, number: int) -> datetime:
        """Return the begin of a piece; 0 is the first piece."""
        return self.since + number * self.width

    @classmethod
    def up_to(cls, now: datetime, width: timedelta, count: int) -> "Pieces":
        """Return pieces that begin at multiples of their width; the last piece contains `now`.

        >>> from datetime import timezone
        >>> at = datetime(2026, 3, 1, 12, 10, tzinfo=timezone.utc)
        >>> Pieces.up_to(at, timedelta(minutes=30), 2).since.isoformat()
        '2026-03-01T11:30:00+00:00'
        """
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        end = ((now - epoch) // width + 1) * width + epoch
        return cls(since=end - count * width, width=width, count=count)

    def number_in_sql(self, connection: sa.Connection, time: sa.ColumnElement[Any]) -> Any:
        """Return the number of the piece of a time column, as an expression in SQL."""
        seconds: Any
        origin, width = self.since.timestamp(), self.width.total_seconds()
        if connection.dialect.name == "sqlite":
            seconds = sa.cast(sa.func.strftime("%s", time), sa.Integer)  # without the fraction
            return (seconds - sa.literal(int(origin))) // sa.literal(max(1, int(width)))
        seconds = sa.func.extract("epoch", time)
        return sa.cast(sa.func.floor((seconds - origin) / width), sa.Integer)
