"""Converts rejected records to the form that is stored: the reason, and the record as text."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import Frame, Roles, rejected_rows
from aemon.reading.plain_records import as_text, plain_records
from aemon.store.inbox.rejected_records import Rejected

MOST_AT_ONCE = 100
"""The largest number of rejected records of one read that are stored for one reason. Without this
limit, a table in which all records are rejected would fill the store."""

TOO_LATE = "too_late"


def set_aside(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64]
) -> tuple[Rejected, ...]:
    """Return the last `MOST_AT_ONCE` rejected records of each reason in a table.

    Args:
        table: N records.
        roles: the columns of event time, key and entity.
        times: (N,) event times, as read by `roles`.

    Raises:
        FrameError: the column of a role is missing, or two columns have the same name.
    """
    return tuple(
        Rejected(reason=reason, record=as_text(record))
        for reason, rows in rejected_rows(table, roles, times).items()
        for record in plain_records(table.iloc[np.flatnonzero(rows)[-MOST_AT_ONCE:]])
    )


def set_aside_as_late(frame: Frame, roles: Roles) -> tuple[Rejected, ...]:
    """Return the last `MOST_AT_ONCE` records of a frame as rejected, with reason `too_late`."""
    last = frame.take(slice(max(len(frame) - MOST_AT_ONCE, 0), None))
    names = {roles.time: last.times, roles.key: last.keys}
    if roles.entity:
        names[roles.entity] = last.entities
    table = pd.concat([pd.DataFrame(names), last.values], axis=1)
    return tuple(
        Rejected(reason=TOO_LATE, record=as_text(record)) for record in plain_records(table)
    )
