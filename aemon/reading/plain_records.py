"""Records in the types of JSON, from the table of any stream."""

import json
import math
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from aemon.frame import printable

Record = dict[str, Any]
"""Column -> value: text, a number, a truth value, None, or lists and objects of these."""


def plain_records(table: pd.DataFrame) -> list[Record]:
    """Return the N records of a table in the types of JSON.

    A value that JSON has no form for is None (NaN, infinity, a missing time) or text (a date).
    """
    names = [printable(str(name)) for name in table]
    columns = [[_plain(value) for value in table.iloc[:, at]] for at in range(len(names))]
    if not columns:
        return [{} for _ in range(len(table))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def as_text(record: Record) -> str:
    """Return a record as JSON text that every database can hold.

    >>> as_text({"key": "a", "flow": None})
    '{"key": "a", "flow": null}'
    """
    return json.dumps(record)


def _plain(value: Any) -> Any:
    """Return one value in JSON's types."""
    if isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, Decimal):
        value = float(value)
    if value is None or value is pd.NA:
        return None
    plain: Any
    match value:
        case bool() | int():
            plain = value
        case float():
            plain = value if math.isfinite(value) else None
        case dict():
            plain = {printable(str(name)): _plain(item) for name, item in value.items()}
        case list() | tuple():
            plain = [_plain(item) for item in value]
        case date() | time():  # a datetime is a date; the missing datetime has no text
            plain = value.isoformat() if value is not pd.NaT else None
        case _:
            plain = printable(str(value))
    return plain
