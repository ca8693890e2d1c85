"""Shows values of records in messages."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import Roles, identify, printable
from aemon.texts import cut

Times = npt.NDArray[np.datetime64]

_MOST_SHOWN = 60  # characters of a value in a message


def examples_of(table: pd.DataFrame, roles: Roles, times: Times) -> dict[str, str]:
    """Return reason -> text with event time and key of the first unreadable record.

    Args:
        table: N records.
        roles: the columns of event time, key and entity.
        times: (N,) event times, as read by `roles`.
    """
    unreadable = identify(table, roles, times).unreadable
    return {
        reason: _example(table, roles, int(rows.argmax()))
        for reason, rows in unreadable.items()
        if rows.any()
    }


def _example(table: pd.DataFrame, roles: Roles, row: int) -> str:
    time, key = table[roles.time].iloc[row], table[roles.key].iloc[row]
    text = f"{roles.time} {shortened(str(time))!r}" if not pd.isna(time) else f"no {roles.time}"
    return f"{text} in record {shortened(str(key))}" if not pd.isna(key) else text


def shortened(text: str) -> str:
    r"""Return a text on one line, cut after `_MOST_SHOWN` characters.

    >>> shortened("two\n lines")
    'two lines'
    """
    return cut(" ".join(printable(text).split()), _MOST_SHOWN)
