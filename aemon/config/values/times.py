"""Types of values for time: durations, schedules, ages and zones."""

from datetime import timedelta
from numbers import Integral
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

from aemon.clock import LONGEST, SHORTEST, format_duration, parse_duration
from aemon.config.values.cron import Cron
from aemon.config.values.scalars import NOT_ZERO, pattern_of

_DURATION = rf"{NOT_ZERO}\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|[smhdw])\s*)+"


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta) and value <= LONGEST:
        return value
    raise ValueError("write a duration with its unit, for example 30s, 15m or 1d")


def _duration_or(value: object, instead: str) -> object:
    """Read a duration; the error names the alternative `instead`."""
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or {instead}") from None


def _text_of_duration(value: object) -> object:
    """Return a duration as text; return any other value unchanged."""
    return format_duration(value) if isinstance(value, timedelta) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["30s", "15m", "1d"],
            "pattern": pattern_of(_DURATION),
        }
    ),
]
"""A positive length of time, written with units: `30s`, `1h30m`; 36500d at most."""


def _not_too_often(pause: timedelta | Cron) -> timedelta | Cron:
    if isinstance(pause, timedelta) and pause < SHORTEST:
        raise ValueError(f"must be at least {format_duration(SHORTEST)}")
    return pause


Pause = Annotated[Duration, AfterValidator(_not_too_often)]
"""A length of time between two runs of work: 10ms at least."""


def _cron(value: object) -> object:
    if isinstance(value, Cron):
        return value
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 -- pydantic reports no other error to people
            "write five fields of cron as text, such as '0 2 * * 1-5'"
        )
    return Cron.parse(value)


_CRON = r"\s*(?:@(?:hourly|daily|weekly|monthly)|[^\s]+(?:\s+[^\s]+){4})\s*"


class _IsCron:
    """A schema that accepts only `Cron` objects; the validator `_cron` makes them from text."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        return core_schema.is_instance_schema(Cron)


CronText = Annotated[
    Cron,
    _IsCron,
    BeforeValidator(_cron),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["0 2 * * 1-5"], "pattern": pattern_of(_CRON)}),
]
"""Five fields of cron; weekday 1 is Monday."""


def _schedule(value: object) -> object:
    """Read five fields as cron, any other text as a duration."""
    if isinstance(value, str) and (len(value.split()) == CRON_FIELDS or value.startswith("@")):
        return _cron(value)
    return value if isinstance(value, Cron) else _duration(value)


CRON_FIELDS = 5


def _schedule_text(value: timedelta | Cron) -> str:
    return str(value) if isinstance(value, Cron) else format_duration(value)


class _IsSchedule:
    """A schema that accepts a `Cron` or a timedelta; the validator `_schedule` converts text."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        kinds = (Cron, timedelta)
        return core_schema.union_schema([core_schema.is_instance_schema(kind) for kind in kinds])


Schedule = Annotated[
    timedelta | Cron,
    _IsSchedule,
    BeforeValidator(_schedule),
    AfterValidator(_not_too_often),
    PlainSerializer(_schedule_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["5m", "*/5 8-18 * * 1-5"],
            "pattern": pattern_of(rf"{_DURATION}|{_CRON}"),
        }
    ),
]
"""A pause such as `5m`, 10ms at least, or five fields of cron."""


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
            "pattern": pattern_of(rf"{_NEVER}|{_DURATION}"),
        }
    ),
]
"""The time after which something happens: a duration, or `never`."""

_AUTO = "auto"


def _auto_or_after(value: object) -> object:
    return value if value == _AUTO else _after(value)


class _AsMade:
    """A schema that accepts any value; an earlier validator has checked the value already."""

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
            "pattern": pattern_of(rf"{_AUTO}|{_NEVER}|{_DURATION}"),
        }
    ),
]
"""An `After`, or `auto`; for `auto`, a rule computes the time."""


_TIME = "time"


def _time_or_step(value: object) -> object:
    if value is None or value == _TIME:
        return value
    return _duration_or(value, _TIME)


Join = Annotated[
    timedelta | Literal["time"] | None,
    _AsMade,
    BeforeValidator(_time_or_step),
    PlainSerializer(_text_of_duration, return_type=str | None),
    WithJsonSchema(
        {
            "type": ["string", "null"],
            "examples": [_TIME, "10s"],
            "pattern": pattern_of(rf"{_TIME}|{_DURATION}"),
        }
    ),
]
"""How values of several files become one record.

`time` joins values of equal times. A duration joins values of the same step of this length.
"""

MOST_TOGETHER = 64


def _count_or_period(value: object) -> object:
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, bool):
        raise ValueError(f"must be a number of records, 1 to {MOST_TOGETHER}, or a duration: 10m")  # noqa: TRY004 -- pydantic reports no other error to people
    if isinstance(value, Integral):
        count = int(value)
        if not 1 <= count <= MOST_TOGETHER:
            raise ValueError(f"must be from 1 to {MOST_TOGETHER} records")
        return count
    return _duration_or(value, f"a number of records, 1 to {MOST_TOGETHER}")


Together = Annotated[
    int | timedelta | None,
    _AsMade,
    BeforeValidator(_count_or_period),
    PlainSerializer(_text_of_duration, return_type=int | str | None),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_TOGETHER},
                {"type": "string", "pattern": pattern_of(_DURATION)},
                {"type": "null"},
            ],
            "examples": [4, "10m"],
        }
    ),
]
"""The records that are judged together: their number, or a period of time."""

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
            "pattern": pattern_of(
                rf"{_FOREVER}|{NOT_ZERO}\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|[smhdw])\s*)+"
            ),
        }
    ),
]
"""The greatest age: a duration, or `forever` (None)."""


def _check_zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"{text!r} is not a time zone; write for example UTC or Europe/Berlin")
    ZoneInfo(text)
    return text


TimeZone = Annotated[str, AfterValidator(_check_zone)]
"""An IANA time zone name."""
