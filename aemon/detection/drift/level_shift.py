"""A level shift: records are flagged one after the other, and it does not end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LEVEL = 20
"""Records not flagged, more than flagged ones, that end the longest of shifts."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Where a monitor, or one of its entities, stands. `Shift()` has seen nothing.

    A flagged record counts one up, another one down, and never below 0 or above `MOST_LEVEL`: a
    stretch begins when the count leaves 0 and ends when it is back. Single false alarms make
    stretches of one record; only where most records are flagged does one last.

    Attributes:
        level: the count.
        since: event time of the stretch's first record, UTC; None when there is none.
        until: event time of its newest flagged record.
        records: in it.
        flagged: of these.
    """

    level: int = 0
    since: datetime | None = None
    until: datetime | None = None
    records: int = 0
    flagged: int = 0

    def after(self, times: npt.NDArray[np.datetime64], flagged: npt.NDArray[np.bool_]) -> "Shift":
        """Where it stands after N more records.

        Args:
            times: (N,) event times in UTC, in their order.
            flagged: (N,).
        """
        state = self
        for place in range(len(flagged)) if flagged.any() or self.level else ():
            state = state._next(times[place], odd=bool(flagged[place]))
        return state

    def stays(self, min_records: int, min_time: timedelta) -> bool:
        """Whether a shift has lasted for so many records and so long."""
        if self.since is None or self.until is None:
            return False
        lasts = self.records >= min_records and self.until - self.since >= min_time
        return lasts and 2 * self.flagged > self.records

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return {
            "level": self.level,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "records": self.records,
            "flagged": self.flagged,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Shift":
        """The inverse of `as_json`."""
        since, until = (
            datetime.fromisoformat(stored[name]) if stored[name] else None
            for name in ("since", "until")
        )
        counts = {name: stored[name] for name in ("level", "records", "flagged")}
        return cls(**counts, since=since, until=until)

    def _next(self, time: np.datetime64, *, odd: bool) -> "Shift":
        if not odd:
            if self.level <= 1:
                return self if self.level == 0 else Shift()
            return replace(self, level=self.level - 1, records=self.records + 1)
        naive: datetime = time.astype("datetime64[us]").item()
        at = naive.replace(tzinfo=UTC)
        return replace(
            self,
            level=min(self.level + 1, MOST_LEVEL),
            since=self.since or at,
            until=at,
            records=self.records + 1,
            flagged=self.flagged + 1,
        )
