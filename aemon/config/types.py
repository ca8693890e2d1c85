"""The kinds of value a configuration holds beside plain text and numbers."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

from aemon.clock import format_duration, parse_duration
from aemon.config.cron import Cron


class Settings(BaseModel):
    """Base of every settings object: frozen, no unknown keys, no secrets in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, given: Any) -> Any:
        """`yes` in YAML is true, and true is 1 to pydantic."""
        for key, value in given.items() if isinstance(given, dict) else ():
            field = cls.model_fields.get(str(key))
            if field is not None and isinstance(value, bool):
                for number, words in (int, "a whole number"), (float, "a number"):
                    if field.annotation in (number, number | None):
                        raise AtKeyError(key, f"must be {words}")
        return given


def given(key: str, kind: str) -> dict[str, Any]:
    """JSON Schema: a key is there, and not null."""
    return {"required": [key], "properties": {key: {"type": kind}}}


class AtKeyError(ValueError):
    """A problem with one key that its settings as a whole show; or with a key further inside."""

    def __init__(self, key: str | tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = (key,) if isinstance(key, str) else key


_REFERENCE = r"\$\{"  # text with ${NAME} or ${file:PATH} in it is judged when it is replaced


def _pattern(pattern: str) -> str:
    """A JSON Schema pattern for the whole of a text, unless it refers to something else."""
    return rf"^(?:{pattern})$|{_REFERENCE}"


_NOT_ZERO = "(?=.*[1-9])"
_DURATION = rf"{_NOT_ZERO}\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|[smhdw])\s*)+"


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
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["30s", "15m", "1d"],
            "pattern": _pattern(_DURATION),
        }
    ),
]
"""A positive length of time, written with units: `30s`, `1h30m`."""


def _cron(value: object) -> object:
    if isinstance(value, Cron):
        return value
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 -- pydantic tells people of no other
            "write five fields of cron as text, such as '0 2 * * 1-5'"
        )
    return Cron.parse(value)


_CRON = r"\s*(?:@(?:hourly|daily|weekly|monthly)|[^\s]+(?:\s+[^\s]+){4})\s*"


class _IsCron:
    """Takes what `_cron` has made as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        return core_schema.is_instance_schema(Cron)


CronText = Annotated[
    Cron,
    _IsCron,
    BeforeValidator(_cron),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["0 2 * * 1-5"], "pattern": _pattern(_CRON)}),
]
"""Five fields of cron; weekday 1 is Monday."""


def _schedule(value: object) -> object:
    """Five fields are cron, anything else a duration."""
    if isinstance(value, str) and (len(value.split()) == CRON_FIELDS or value.startswith("@")):
        return _cron(value)
    return value if isinstance(value, Cron) else _duration(value)


CRON_FIELDS = 5


def _schedule_text(value: timedelta | Cron) -> str:
    return str(value) if isinstance(value, Cron) else format_duration(value)


class _IsSchedule:
    """Takes what `_schedule` has made as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        kinds = (Cron, timedelta)
        return core_schema.union_schema([core_schema.is_instance_schema(kind) for kind in kinds])


Schedule = Annotated[
    timedelta | Cron,
    _IsSchedule,
    BeforeValidator(_schedule),
    PlainSerializer(_schedule_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["5m", "*/5 8-18 * * 1-5"],
            "pattern": _pattern(rf"{_DURATION}|{_CRON}"),
        }
    ),
]
"""A pause such as `5m`, or five fields of cron."""


_NEVER = "never"


def _after(value: object) -> object:
    return None if value in (_NEVER, None) else _duration(value)


def _after_text(value: timedelta | None) -> str:
    return _NEVER if value is None else format_duration(value)


After = Annotated[
    timedelta | None,
    BeforeValidator(_after),
    PlainSerializer(_after_text, return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "null"],
            "examples": ["1d", _NEVER],
            "pattern": _pattern(rf"{_NEVER}|{_DURATION}"),
        }
    ),
]
"""A length of time after which something happens, or `never`."""

_AUTO = "auto"


def _auto_or_after(value: object) -> object:
    return value if value == _AUTO else _after(value)


class _AsMade:
    """Takes what the validator before has made as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        return core_schema.any_schema()


AutoAfter = Annotated[
    timedelta | Literal["auto"] | None,
    _AsMade,
    BeforeValidator(_auto_or_after),
    PlainSerializer(lambda age: age if age == _AUTO else _after_text(age), return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "null"],
            "examples": [_AUTO, "1d", _NEVER],
            "pattern": _pattern(rf"{_AUTO}|{_NEVER}|{_DURATION}"),
        }
    ),
]
"""The same, or `auto` where a rule says how long."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB)")
_BYTES = {"MB": 10**6, "GB": 10**9}


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        raise ValueError("write a size with its unit, for example 500MB or 4GB")
    return round(float(match[1]) * _BYTES[match[2]])


def _size_text(value: int) -> str:
    unit = "GB" if value >= _BYTES["GB"] else "MB"
    return f"{value / _BYTES[unit]:g}{unit}"


Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(_size_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["4GB"],
            "pattern": _pattern(rf"{_NOT_ZERO}\s*{_SIZE.pattern}\s*"),
        }
    ),
]
"""Bytes, written with a unit: `4GB`."""


_FOREVER = "forever"


def _age(value: object) -> object:
    return None if value in (_FOREVER, None) else _duration(value)


Age = Annotated[
    timedelta | None,
    BeforeValidator(_age),
    PlainSerializer(lambda age: format_duration(age) if age else _FOREVER, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["90d", _FOREVER],
            "pattern": _pattern(
                rf"{_FOREVER}|{_NOT_ZERO}\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|[smhdw])\s*)+"
            ),
        }
    ),
]
"""How old something may become: a duration, or `forever` (None)."""


_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(hour|day|week)")
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
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["3/day"],
            "pattern": _pattern(rf"{_NOT_ZERO}\s*{_BUDGET.pattern}\s*"),
        }
    ),
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
    digits = port.isascii() and port.isdigit()
    if not colon or not host or not digits or int(port) > 65535:  # noqa: PLR2004 -- highest port
        raise ValueError(f"{text!r} is no address; write for example 127.0.0.1:9464")
    return text


_PORT = "0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

Listen = Annotated[
    str,
    AfterValidator(_check_listen),
    WithJsonSchema(
        {"type": "string", "examples": ["127.0.0.1:9464"], "pattern": _pattern(rf".+:{_PORT}")}
    ),
]
"""`host:port`; port 0 takes a free one."""
