"""The kinds of value a configuration holds beside plain text and numbers."""

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

from aemon.clock import format_duration, parse_duration


class Settings(BaseModel):
    """Base of every settings object: frozen, no unknown keys, no secrets in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("write a duration with its unit, for example 30s, 15m or 1d")


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["30s", "15m", "1d"]}),
]
"""A positive length of time, written with units: `30s`, `1h30m`."""


_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(hour|day|week)")
_PER_DAY = {"hour": 24.0, "day": 1.0, "week": 1 / 7}


def alarms_per_day(budget: str) -> float:
    """How many alarms a day an alarm budget such as `3/day` allows.

    >>> alarms_per_day("14/week")
    2.0

    Raises:
        ValueError: the text is no budget.
    """
    match = _BUDGET.fullmatch(budget.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{budget!r} is no alarm budget; write for example 3/day, 1/hour, 5/week")
    return float(match[1]) * _PER_DAY[match[2]]


def _check_budget(text: str) -> str:
    alarms_per_day(text)
    return text


AlarmBudget = Annotated[
    str,
    AfterValidator(_check_budget),
    WithJsonSchema({"type": "string", "examples": ["3/day"], "pattern": _BUDGET.pattern}),
]
"""How many normal records may be flagged in a stretch of time: `3/day`."""


def _check_zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"{text!r} is no time zone; write for example UTC or Europe/Berlin")
    ZoneInfo(text)
    return text


TimeZone = Annotated[str, AfterValidator(_check_zone)]
"""An IANA time zone name."""


def _check_listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 -- highest port
        raise ValueError(f"{text!r} is no address; write for example 127.0.0.1:9464")
    return text


Listen = Annotated[str, AfterValidator(_check_listen)]
"""`host:port`; port 0 takes a free one."""
