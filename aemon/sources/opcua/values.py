"""The value of a node as a cell of a record, and the time since which the value holds."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncua import ua

from aemon.sources.json_values import number_in_range


class NotPlainError(Exception):
    """A value is an array, a structure or bytes: no cell can hold it."""


def value_of(data: ua.DataValue) -> Any:
    """Return the number, boolean or text of a value; None if it is missing or of bad quality.

    Raises:
        NotPlainError: no cell can hold the value.
    """
    status = data.StatusCode
    if status is not None and not status.is_good():
        return None
    value = data.Value.Value if data.Value is not None else None
    match value:
        case None | bool() | str():
            cell: Any = value
        case int():
            cell = number_in_range(int(value))
        case float() | Decimal():
            cell = float(value) if math.isfinite(value) else None
        case datetime() | date():
            cell = value.isoformat()
        case UUID():
            cell = str(value)
        case ua.LocalizedText():
            cell = value.Text
        case ua.QualifiedName():
            cell = value.Name
        case _:
            raise NotPlainError
    return cell


def time_of(data: ua.DataValue, whose: str, now: datetime) -> datetime:
    """Return the time since which a value holds, in UTC; without a time, the time of arrival."""
    if whose == "arrival":
        return now
    times = [data.SourceTimestamp, data.ServerTimestamp]
    for time in times if whose == "source" else reversed(times):
        if time is not None:
            # The library returns UTC without a time zone.
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return now
