"""What every source does with the records it has read."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from aemon.frame import EARLIEST, LATEST, event_times

_TAIL = 64  # records looked at first for the last readable event time


def last_time(column: pd.Series, timezone: str) -> datetime | None:
    """The event time of the last record whose time can be read, aware UTC; None without one."""
    for part in (column.iloc[-1:], column.iloc[-_TAIL:], column):
        times = event_times(part, timezone)
        readable = times[~np.isnat(times) & (times >= EARLIEST) & (times <= LATEST)]
        if len(readable):
            moment: datetime = readable[-1].astype(datetime)
            return moment.replace(tzinfo=UTC)
    return None
