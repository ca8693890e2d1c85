"""Converts the table of a stream to records that JSON can hold."""

import json
import math
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from aemon.frame import printable

Record = dict[str, Any]
"""Column name -> value: text, a number, True or False, None, or a list or object of such values."""


def plain_records(table: pd.DataFrame) -> list[Record]:
    """Return the N records of a table, with values in the types of JSON.

    JSON has no form for some values: NaN, infinity and missing times become None, dates and other
    values become text.
    """
    names = [printable(str(name)) for name in table]
    columns = [[_plain(value) for value in table.iloc[:, at]] for at in range(len(names))]
    if not columns:
        return [{} for _ in range(len(table))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def as_text(record: Record) -> str:
    """Return a record as JSON text, which every database can store.

    >>> as_text({"key": "a", "flow": None})
    '{"key": "a", "flow": null}'
    """
    return json.dumps(record)


def _plain(value: Any) -> Any:
    """Return one value in a type of JSON."""
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
        case date() | time():  # a datetime is a date; NaT has no text
            plain = value.isoformat() if value is not pd.NaT else None
        case _:
            plain = printable(str(value))
    return plain
