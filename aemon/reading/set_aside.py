"""Rejected records as the store keeps them: the reason and the text of the record."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import Frame, Roles, rejected_rows
from aemon.reading.plain_records import as_text, plain_records
from aemon.store.inbox.rejected_records import Rejected

MOST_AT_ONCE = 100
"""Records of one read that are kept for one reason, the last ones: a table with rejected records
only does not fill the store."""

TOO_LATE = "too_late"


def set_aside(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64]
) -> tuple[Rejected, ...]:
    """Return the rejected records of a table of N records, the last ones of each reason.

    `times` (N,) are its event times as its roles read them.

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    return tuple(
        Rejected(reason=reason, record=as_text(record))
        for reason, rows in rejected_rows(table, roles, times).items()
        for record in plain_records(table.iloc[np.flatnonzero(rows)[-MOST_AT_ONCE:]])
    )


def set_aside_as_late(frame: Frame, roles: Roles) -> tuple[Rejected, ...]:
    """Return the last records of a frame as rejected, because they are too late."""
    last = frame.take(slice(max(len(frame) - MOST_AT_ONCE, 0), None))
    names = {roles.time: last.times, roles.key: last.keys}
    if roles.entity:
        names[roles.entity] = last.entities
    table = pd.concat([pd.DataFrame(names), last.values], axis=1)
    return tuple(
        Rejected(reason=TOO_LATE, record=as_text(record)) for record in plain_records(table)
    )
