"""Level shift: most records of an entity are flagged, for a long time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LEVEL = 20
"""Largest level of a `Shift`. After this many unflagged records in a row, a possible shift has
always ended."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The state of a possible shift of a monitor or an entity. `Shift()` is the initial state.

    The level is a number from 0 to `MOST_LEVEL`: a flagged record raises the level by one, any
    other record lowers the level by one. A stretch of records begins when the level rises above 0,
    and ends when the level is 0 again. A single false alarm gives a short stretch. A stretch lasts
    for a long time only if most of its records are flagged.

    Attributes:
        level: the level.
        since: event time of the stretch's first record, UTC; None without a stretch.
        until: event time of the stretch's newest flagged record, UTC.
        records: number of records in the stretch.
        flagged: number of flagged records in the stretch.
    """

    level: int = 0
    since: datetime | None = None
    until: datetime | None = None
    records: int = 0
    flagged: int = 0

    def after(self, times: npt.NDArray[np.datetime64], flagged: npt.NDArray[np.bool_]) -> "Shift":
        """Return the state after N more records.

        Args:
            times: (N,) event times in UTC, ascending.
            flagged: (N,) True for flagged records.
        """
        state = self
        for place in range(len(flagged)) if flagged.any() or self.level else ():
            state = state._next(times[place], flagged=bool(flagged[place]))
        return state

    def stays(self, min_records: int, min_time: timedelta) -> bool:
        """Return whether the shift has lasted for at least `min_records` records and `min_time`.

        More than half of the stretch's records must be flagged.
        """
        if self.since is None or self.until is None:
            return False
        lasts = self.records >= min_records and self.until - self.since >= min_time
        return lasts and 2 * self.flagged > self.records

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {
            "level": self.level,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "records": self.records,
            "flagged": self.flagged,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Shift":
        """Return the state that `as_json` wrote."""
        since, until = (
            datetime.fromisoformat(stored[name]) if stored[name] else None
            for name in ("since", "until")
        )
        counts = {name: stored[name] for name in ("level", "records", "flagged")}
        return cls(**counts, since=since, until=until)

    def _next(self, time: np.datetime64, *, flagged: bool) -> "Shift":
        if not flagged:
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
