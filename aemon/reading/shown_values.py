"""Values of records as messages show them."""

import pandas as pd

from aemon.frame import Roles, identify, printable

_MOST_SHOWN = 60  # characters of a value in a message


def examples_of(table: pd.DataFrame, roles: Roles) -> dict[str, str]:
    """Return what the first unreadable record of a table has as time and key, by reason."""
    unreadable = identify(table, roles).unreadable
    return {
        reason: _example(table, roles, int(rows.argmax()))
        for reason, rows in unreadable.items()
        if rows.any()
    }


def _example(table: pd.DataFrame, roles: Roles, row: int) -> str:
    time, key = table[roles.time].iloc[row], table[roles.key].iloc[row]
    told = f"{roles.time} {shortened(str(time))!r}" if not pd.isna(time) else f"no {roles.time}"
    return f"{told} in record {shortened(str(key))}" if not pd.isna(key) else told


def shortened(text: str) -> str:
    r"""Return a value on one line, and not too long.

    >>> shortened("two\n lines")
    'two lines'
    """
    text = " ".join(printable(text).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
